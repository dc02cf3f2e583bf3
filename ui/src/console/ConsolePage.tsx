/** The operator's console: its navigation, and the page of it that the address names. */
import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useParams } from "@tanstack/react-router";
import { Suspense } from "react";

import { sessionQuery } from "../api/queries";
import { NotFoundPage } from "../app/NotFoundPage";
import { Message } from "../parts/Message";
import { Waiting } from "../parts/Waiting";
import styles from "./console.module.css";
import { consolePages } from "./pages";

const link = { className: styles.link, activeProps: { className: `${styles.link ?? ""} ${styles.current ?? ""}` } };

export function ConsolePage() {
  const { data: who } = useQuery(sessionQuery);
  const { page: path = "", item = "" } = useParams({ strict: false });
  if (who?.role !== "operator") {
    return (
      <Message title="For operators" testId="console-closed">
        <p>What runs and how is looked after by the people who run this house.</p>
      </Message>
    );
  }
  const first = consolePages[0];
  if (path === "" && first) return <Navigate to="/console/{-$page}/{-$item}" params={{ page: first.path }} replace />;
  const shown = consolePages.find((row) => row.path === path);
  if (!shown) return <NotFoundPage />;
  return (
    <div className={styles.console}>
      <nav aria-label="Console" className={styles.nav} data-nav-row>
        {consolePages.map((row) => (
          <Link
            key={row.path}
            to="/console/{-$page}/{-$item}"
            params={{ page: row.path }}
            {...link}
            data-testid={`console-${row.path}`}
          >
            {row.label}
          </Link>
        ))}
      </nav>
      <Suspense fallback={<Waiting />}>
        <shown.Page item={item} />
      </Suspense>
    </div>
  );
}
