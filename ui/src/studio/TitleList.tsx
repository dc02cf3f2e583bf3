import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { titlesQuery } from "../api/queries";
import type { Title } from "../api/types";
import { Poster } from "../parts/Poster";
import buttons from "../parts/button.module.css";
import { Facts } from "../title/Facts";
import styles from "./titles.module.css";
import { TitleEditor } from "./TitleEditor";
import { WithdrawDialog } from "./WithdrawDialog";

/** Every film that is on, newest first, to be corrected or withdrawn. */
export function TitleList() {
  const { data, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(titlesQuery);
  const [editing, setEditing] = useState<Title | null>(null);
  const [withdrawing, setWithdrawing] = useState<Title | null>(null);
  const titles = data?.pages.flatMap((page) => page.titles) ?? [];
  return (
    <section aria-labelledby="titles-heading" className={styles.titles}>
      <h2 id="titles-heading">On the programme</h2>
      {data && titles.length === 0 && <p className={styles.none}>No film is on yet.</p>}
      <ul className={styles.list} data-testid="title-list">
        {titles.map((title) => (
          <li key={title.title_id} className={styles.row} data-testid="title-row" data-title-id={title.title_id}>
            <div className={styles.poster}>
              <Poster title={{ ...title, title: "" }} />
            </div>
            <div className={styles.words}>
              <h3 className={styles.name}>
                <Link to="/titles/$titleId" params={{ titleId: title.title_id }}>
                  {title.title}
                </Link>
              </h3>
              <Facts title={title} />
            </div>
            <div className={styles.actions}>
              <button type="button" className={buttons.button} onClick={() => setEditing(title)} data-testid="title-edit">
                Edit<span className="unseen"> {title.title}</span>
              </button>
              <button
                type="button"
                className={buttons.quiet}
                onClick={() => setWithdrawing(title)}
                data-testid="title-withdraw"
              >
                Withdraw<span className="unseen"> {title.title}</span>
              </button>
            </div>
          </li>
        ))}
      </ul>
      {hasNextPage && (
        <button
          type="button"
          className={buttons.button}
          onClick={() => void fetchNextPage()}
          disabled={isFetchingNextPage}
        >
          Show more
        </button>
      )}
      {editing && <TitleEditor title={editing} onClose={() => setEditing(null)} />}
      {withdrawing && <WithdrawDialog title={withdrawing} onClose={() => setWithdrawing(null)} />}
    </section>
  );
}
