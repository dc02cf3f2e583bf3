import styles from "./meter.module.css";

interface MeterProps {
  label: string;
  /** From 0 to 1. */
  value: number;
  text?: string;
  tone?: "light" | "teal";
}

/** A thin bar that says how far something is. */
export function Meter({ label, value, text, tone = "light" }: MeterProps) {
  const share = Math.min(1, Math.max(0, value));
  return (
    <div
      className={styles.meter}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(share * 100)}
      aria-valuetext={text}
    >
      <div className={tone === "teal" ? styles.teal : styles.light} style={{ transform: `scaleX(${share})` }} />
    </div>
  );
}
