/** The film from left to right: each shot as wide as it lasts, as high as its bits, and as bright as it looks good. */
import type { EncodingReport, ShotReport } from "../../api/types";
import { bitrate, clockTime } from "../../format";
import observe from "../observe/observe.module.css";
import styles from "./encoding.module.css";

const WORST_SHOWN = 60;

export function ShotLine({ report }: { report: EncodingReport }) {
  const most = Math.max(1, ...report.shots.map((shot) => shot.bits_per_second));
  if (report.shots.length === 0) return null;
  return (
    <figure className={observe.chart} data-testid="shot-line">
      <figcaption className={observe.subtitle}>Shots of the best rung</figcaption>
      <div className={styles.shots} role="img" aria-label={summary(report.shots)}>
        {report.shots.map((shot) => (
          <span
            key={shot.start_seconds}
            className={styles.shot}
            title={words(shot)}
            style={{
              flexGrow: shot.seconds,
              height: `${Math.max(4, (100 * shot.bits_per_second) / most)}%`,
              opacity: shot.vmaf > 0 ? Math.min(1, Math.max(0.25, (shot.vmaf - WORST_SHOWN) / (100 - WORST_SHOWN))) : 0.6,
            }}
          />
        ))}
      </div>
      <p className={styles.scale}>
        <span>0:00</span>
        <span>highest {bitrate(most)}</span>
        <span>{clockTime(report.duration_seconds)}</span>
      </p>
    </figure>
  );
}

function words(shot: ShotReport): string {
  const quality = shot.vmaf > 0 ? `, VMAF ${shot.vmaf.toFixed(1)}` : "";
  return `${clockTime(shot.start_seconds)}, ${shot.seconds.toFixed(1)} s: ${bitrate(shot.bits_per_second)}${quality}`;
}

function summary(shots: readonly ShotReport[]): string {
  const [first, ...others] = [...shots].sort((a, b) => b.bits_per_second - a.bits_per_second);
  return `${others.length + 1} shots. The one with most bits: ${first ? words(first) : "none"}.`;
}
