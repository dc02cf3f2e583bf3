import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { rollBackProperty } from "../../api/actions";
import { propertyChangesQuery } from "../../api/queries";
import type { AuditEntry } from "../../api/types";
import { Fault } from "../../parts/Fault";
import buttons from "../../parts/button.module.css";
import styles from "./properties.module.css";
import { forWhom, scopeWords, shown, timeWords } from "./values";

/** Who changed what, the newest first: of one property, or of all while the name is empty. */
export function Trail({ name, onAll }: { name: string; onAll: () => void }) {
  const { data, error, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    ...propertyChangesQuery(name),
    refetchInterval: 3000,
  });
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (name !== "") heading.current?.focus();
  }, [name]);
  const entries = data?.pages.flatMap((page) => page.entries) ?? [];
  return (
    <section aria-labelledby="trail-heading" className={styles.section} data-testid="property-trail">
      <h2 id="trail-heading" className={styles.subtitle} tabIndex={-1} ref={heading}>
        {name === "" ? "Changes" : `Changes of ${name}`}
      </h2>
      {name !== "" && (
        <button type="button" className={buttons.quiet} onClick={onAll} data-testid="trail-all">
          Show those of all properties
        </button>
      )}
      <Fault error={error} />
      {data && entries.length === 0 && <p className={styles.hint}>Nothing has been changed yet.</p>}
      <ol className={styles.list}>
        {entries.map((entry) => (
          <TrailRow key={entry.entry} entry={entry} />
        ))}
      </ol>
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
    </section>
  );
}

function TrailRow({ entry }: { entry: AuditEntry }) {
  const client = useQueryClient();
  const rolling = useMutation({
    mutationFn: () => rollBackProperty(entry.entry, ""),
    onSettled: () => client.invalidateQueries({ queryKey: ["properties"] }),
  });
  const old = entry.old ? shown(entry.old.value) : "not set";
  return (
    <li className={styles.change} data-testid="trail-row" data-action={entry.action} data-name={entry.name}>
      <p>
        <span className={styles.name}>{entry.name}</span> {forWhom(entry.scope)}
      </p>
      <p>
        <span className={styles.value}>{old}</span>
        <span aria-hidden="true"> → </span>
        <span className="unseen"> became </span>
        <span className={styles.value}>{entry.new ? shown(entry.new.value) : "not set"}</span>
      </p>
      <p className={styles.hint}>
        {entry.action === "expired" ? "ended by itself" : `${entry.action} by ${entry.who}`}, <time dateTime={entry.at}>{timeWords(entry.at)}</time>
        {entry.reason && `: ${entry.reason}`}
      </p>
      <button
        type="button"
        className={buttons.quiet}
        onClick={() => rolling.mutate()}
        disabled={rolling.isPending}
        data-testid="trail-rollback"
      >
        Roll back<span className="unseen">{` to ${old}: ${entry.name}, ${scopeWords(entry.scope)}`}</span>
      </button>
      <Fault error={rolling.error} />
    </li>
  );
}
