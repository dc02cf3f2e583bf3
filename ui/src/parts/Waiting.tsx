import styles from "./waiting.module.css";

/** Something is on its way; shown only when it takes longer than a blink. */
export function Waiting({ label = "Loading" }: { label?: string }) {
  return (
    <div className={styles.waiting} role="status">
      <span className={styles.beam} aria-hidden="true" />
      <span className="unseen">{label}</span>
    </div>
  );
}
