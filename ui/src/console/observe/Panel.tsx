import type { ReactNode } from "react";

import { Fault } from "../../parts/Fault";
import { usePageTitle } from "../../parts/usePageTitle";
import { Waiting } from "../../parts/Waiting";
import styles from "./observe.module.css";

interface PanelProps {
  title: string;
  /** What the page shows, undefined until it is there; while it cannot be renewed, the last is shown with the reason. */
  data: unknown;
  error: unknown;
  aside?: ReactNode;
  children: ReactNode;
  testId: string;
}

/** A page of the console: its heading, what is to be set beside it, and what is shown or keeps it from being shown. */
export function Panel({ title, data, error, aside, children, testId }: PanelProps) {
  usePageTitle(title);
  return (
    <section className={styles.panel} aria-labelledby="panel-title" data-testid={testId}>
      <header className={styles.head}>
        <h1 id="panel-title" className={styles.title}>
          {title}
        </h1>
        {aside}
      </header>
      <Fault error={error} />
      {data === undefined ? error ? null : <Waiting /> : children}
    </section>
  );
}

/** A table that scrolls by itself where it is wider than the page. */
export function Table({ caption, heads, children }: { caption: string; heads: readonly string[]; children: ReactNode }) {
  return (
    // A region that scrolls must be reachable by keyboard (WCAG 2.1.1).
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={caption}>
      <table className={styles.table}>
        <caption className={styles.caption}>{caption}</caption>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** A row that says that there is nothing to list. */
export function NoRows({ columns, children }: { columns: number; children: ReactNode }) {
  return (
    <tr>
      <td colSpan={columns} className={styles.nothing}>
        {children}
      </td>
    </tr>
  );
}

/** One number that matters, with its name above. */
export function Figure({ name, value, bad = false }: { name: string; value: string; bad?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={bad ? styles.bad : undefined}>{value}</dd>
    </div>
  );
}
