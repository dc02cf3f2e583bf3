/** Keeps what the pages have read up to date from the event stream; says whether the region answers, and what is new. */
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { jobsQuery } from "../api/queries";
import { listen } from "./client";
import type { RegionEvent, RegionNews } from "./protocol";

/** How long a broken stream is kept from people: a killed gateway is back sooner than that. */
const GRACE_MS = 2500;

function apply(client: QueryClient, event: RegionEvent): void {
  if (event.kind === "catalog") void client.invalidateQueries({ queryKey: ["catalog"] });
  if (event.kind === "jobs") client.setQueryData(jobsQuery.queryKey, event.jobs);
}

/** Listen while `account` is signed in; `onNews` must stay the same function. Returns false when the region has not answered for a while. */
export function useRegionEvents(account: string | undefined, onNews: (news: RegionNews) => void): boolean {
  const client = useQueryClient();
  const [reachable, setReachable] = useState(true);

  useEffect(() => {
    if (account === undefined) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let wasDown = false;
    const stop = listen(account, (event) => {
      if (event.kind !== "link") {
        if (event.kind === "title" || event.kind === "move") onNews(event);
        else apply(client, event);
        return;
      }
      clearTimeout(timer);
      if (!event.up) {
        wasDown = true;
        timer = setTimeout(() => setReachable(false), GRACE_MS);
        return;
      }
      setReachable(true);
      if (wasDown) void client.invalidateQueries();
      wasDown = false;
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [account, client, onNews]);

  return reachable;
}
