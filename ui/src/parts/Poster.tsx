import type { Title } from "../api/types";
import styles from "./poster.module.css";

/** A title's poster; one that has none yet gets its name set as a title card. */
export function Poster({ title, eager = false }: { title: Pick<Title, "title" | "poster" | "year">; eager?: boolean }) {
  if (!title.poster) {
    return (
      <div className={styles.card} aria-hidden="true">
        <span className={styles.name}>{title.title}</span>
        {title.year !== null && <span className={styles.year}>{title.year}</span>}
      </div>
    );
  }
  return (
    <img
      className={styles.image}
      src={title.poster}
      alt=""
      width={400}
      height={600}
      loading={eager ? "eager" : "lazy"}
      decoding="async"
    />
  );
}
