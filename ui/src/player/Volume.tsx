import type { KeyboardEvent } from "react";

import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import styles from "./volume.module.css";

interface VolumeProps {
  volume: number;
  muted: boolean;
  onVolume: (volume: number) => void;
  onMute: () => void;
}

export function Volume({ volume, muted, onVolume, onMute }: VolumeProps) {
  const shown = muted ? 0 : volume;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key.startsWith("Arrow")) event.stopPropagation();
  };
  return (
    <div className={styles.volume}>
      <button
        type="button"
        className={buttons.icon}
        aria-label={muted ? "Sound on" : "Sound off"}
        onClick={onMute}
        data-testid="mute-button"
      >
        <Icon name={muted ? "muted" : "volume"} />
      </button>
      <input
        className={styles.slider}
        type="range"
        min={0}
        max={1}
        step={0.05}
        value={shown}
        aria-label="Volume"
        aria-valuetext={`${Math.round(shown * 100)} %`}
        data-testid="volume-slider"
        onChange={(event) => onVolume(Number(event.currentTarget.value))}
        onKeyDown={onKeyDown}
      />
    </div>
  );
}
