import { useQuery } from "@tanstack/react-query";

import { withdrawalsQuery } from "../api/queries";
import styles from "./titles.module.css";

const when = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** What was taken off, by an operator or because its encoding turned out to be faulty, and why. */
export function WithdrawnList() {
  const { data: withdrawals = [] } = useQuery(withdrawalsQuery);
  if (withdrawals.length === 0) return null;
  return (
    <section aria-labelledby="withdrawn-heading" className={styles.titles}>
      <h2 id="withdrawn-heading">Taken off</h2>
      <ul className={styles.list} data-testid="withdrawn-list">
        {withdrawals.map((one) => (
          <li key={one.title_id} className={styles.withdrawn} data-testid="withdrawn-row" data-title-id={one.title_id}>
            <h3 className={styles.name}>{one.title}</h3>
            <p>{one.reason}</p>
            <p className={styles.none}>{when.format(new Date(one.withdrawn_at))}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
