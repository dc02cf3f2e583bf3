/** The frame around every page: who is signed in, the event stream, notices, the way to the content. */
import { useQuery } from "@tanstack/react-query";
import { Navigate, Outlet, useLocation } from "@tanstack/react-router";

import { sessionQuery } from "../api/queries";
import { useRegionEvents } from "../events/useRegionEvents";
import { useArrowKeys } from "../navigation/useArrowKeys";
import { Waiting } from "../parts/Waiting";
import { Notices } from "./Notices";
import styles from "./shell.module.css";
import { TopBar } from "./TopBar";
import { useNews } from "./useNews";

const OPEN_TO_ALL = ["/claim", "/sign-in"];

export function Shell() {
  const { pathname } = useLocation();
  // Who comes by a claim link is not signed in yet; asking would only get in the way of the claim.
  const { data: who, failureCount } = useQuery({ ...sessionQuery, enabled: pathname !== "/claim" });
  const watching = pathname.startsWith("/watch/");
  const { titles, onNews, dismiss } = useNews(watching);
  const reachable = useRegionEvents(who?.account, onNews);
  useArrowKeys();

  const open = OPEN_TO_ALL.includes(pathname);
  let content = <Outlet />;
  if (who === undefined && !open) content = <Waiting />;
  else if (who === null && !open) content = <Navigate to="/sign-in" search={{ next: pathname }} replace />;

  return (
    <>
      <a className={styles.skip} href="#content">
        Skip to content
      </a>
      <Notices
        reachable={reachable && (who !== undefined || failureCount < 3)}
        watching={watching}
        titles={titles}
        onDismiss={dismiss}
      />
      {!watching && <TopBar who={who ?? null} />}
      <main id="content" tabIndex={-1} className={styles.content}>
        {content}
      </main>
      <p id="announcer" className="unseen" aria-live="polite" />
    </>
  );
}
