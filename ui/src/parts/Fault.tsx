import { sentence } from "../api/request";
import styles from "./fault.module.css";

/** What went wrong, said once and read out; nothing while nothing has. */
export function Fault({ error, testId }: { error: unknown; testId?: string }) {
  return (
    <div role="alert" data-testid={testId}>
      {error !== null && error !== undefined && <p className={styles.fault}>{sentence(error)}</p>}
    </div>
  );
}
