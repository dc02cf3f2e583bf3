import type { Title } from "../api/types";
import { shortFacts } from "./facts";
import styles from "./facts.module.css";

export function Facts({ title }: { title: Title }) {
  return (
    <ul className={styles.facts} aria-label="Facts">
      {shortFacts(title).map((fact) => (
        <li key={fact}>{fact}</li>
      ))}
    </ul>
  );
}
