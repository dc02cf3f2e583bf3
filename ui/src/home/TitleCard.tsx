import { Link } from "@tanstack/react-router";

import type { Title } from "../api/types";
import { duration } from "../format";
import { Poster } from "../parts/Poster";
import styles from "./card.module.css";

interface TitleCardProps {
  title: Title;
  eager: boolean;
  tabbable: boolean;
  onFocus: () => void;
}

export function TitleCard({ title, eager, tabbable, onFocus }: TitleCardProps) {
  const year = title.year === null ? "" : `${title.year} · `;
  return (
    <Link
      to="/titles/$titleId"
      params={{ titleId: title.title_id }}
      className={styles.card}
      tabIndex={tabbable ? 0 : -1}
      onFocus={onFocus}
      data-testid="title-card"
      data-title-id={title.title_id}
    >
      <span className={styles.frame}>
        <Poster title={title} eager={eager} />
      </span>
      <span className={styles.name}>{title.title}</span>
      <span className={styles.facts}>
        {year}
        {duration(title.duration_seconds)}
      </span>
    </Link>
  );
}
