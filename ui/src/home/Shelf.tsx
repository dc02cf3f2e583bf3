import { useId, useState } from "react";

import type { Row } from "../api/types";
import styles from "./shelf.module.css";
import { TitleCard } from "./TitleCard";

/** A named row of posters; one stop of the Tab key, Left and Right go along it. */
export function Shelf({ row, eager }: { row: Row; eager: boolean }) {
  const heading = useId();
  const [current, setCurrent] = useState("");
  const known = row.titles.some((title) => title.title_id === current);
  return (
    <section aria-labelledby={heading} data-testid="shelf">
      <h2 id={heading} className={styles.name}>
        {row.name}
      </h2>
      <ul className={styles.row} data-nav-row>
        {row.titles.map((title, index) => (
          <li key={title.title_id} className={styles.place}>
            <TitleCard
              title={title}
              eager={eager}
              tabbable={known ? title.title_id === current : index === 0}
              onFocus={() => setCurrent(title.title_id)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}
