import { useState, type KeyboardEvent, type PointerEvent } from "react";

import { clockTime } from "../format";
import type { Preview } from "./preview";
import type { MediaState } from "./useMedia";
import { usePreview } from "./usePreview";
import styles from "./seekbar.module.css";

interface SeekBarProps {
  media: MediaState;
  onSeek: (seconds: number) => void;
  /** Finds the small picture for a moment. */
  findPreview: (seconds: number) => Promise<Preview | null>;
}

const STEPS: Record<string, number> = {
  ArrowRight: 5,
  ArrowUp: 5,
  ArrowLeft: -5,
  ArrowDown: -5,
  PageUp: 30,
  PageDown: -30,
};

/**
 * Where the film is: a native range input for people and assistive tools, over a drawn bar with what is buffered.
 */
export function SeekBar({ media, onSeek, findPreview }: SeekBarProps) {
  const { time, duration, buffered } = media;
  const [hover, setHover] = useState<number | null>(null);
  const preview = usePreview(hover === null ? null : hover * duration, findPreview);
  const share = (seconds: number) => (duration > 0 ? Math.min(1, Math.max(0, seconds / duration)) : 0);

  const onPointerMove = (event: PointerEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    setHover(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onSeek(Math.min(duration, Math.max(0, time + step)));
  };

  return (
    <div className={styles.bar} onPointerMove={onPointerMove} onPointerLeave={() => setHover(null)}>
      <div className={styles.track} aria-hidden="true">
        {buffered.map((range) => (
          <span
            key={range.start}
            className={styles.buffered}
            style={{ left: `${share(range.start) * 100}%`, width: `${share(range.end - range.start) * 100}%` }}
          />
        ))}
        <span className={styles.played} style={{ transform: `scaleX(${share(time)})` }} />
        <span className={styles.knob} style={{ left: `${share(time) * 100}%` }} />
      </div>
      <input
        className={styles.input}
        type="range"
        min={0}
        max={Math.max(duration, 0.1)}
        step={0.05}
        value={Math.min(time, Math.max(duration, 0.1))}
        aria-label="Position in the film"
        aria-valuetext={`${clockTime(time)} of ${clockTime(duration)}`}
        data-testid="seek-slider"
        onChange={(event) => onSeek(Number(event.currentTarget.value))}
        onKeyDown={onKeyDown}
      />
      {hover !== null && duration > 0 && (
        <span className={styles.hover} style={{ left: `${hover * 100}%` }} aria-hidden="true" data-testid="seek-hover">
          {preview && (
            <span
              className={styles.preview}
              style={{ width: preview.width, height: preview.height, background: preview.background }}
              data-testid="seek-preview"
            />
          )}
          {clockTime(hover * duration)}
        </span>
      )}
    </div>
  );
}
