/** What has happened while the page is open: titles to show for a while, and being asked to go to another region. */
import { useCallback, useEffect, useRef, useState } from "react";

import type { RegionNews } from "../events/protocol";
import { moveAway } from "./move";

const SHOWN_MS = 20_000;

export interface NewTitle {
  titleId: string;
  title: string;
}

/** Add a title to those that are shown: each once, the newest last, at most three. */
export function withTitle(shown: readonly NewTitle[], title: NewTitle): NewTitle[] {
  return [...shown.filter((one) => one.titleId !== title.titleId), title].slice(-3);
}

export function useNews(watching: boolean) {
  const [titles, setTitles] = useState<NewTitle[]>([]);
  const isWatching = useRef(watching);
  const callOff = useRef<(() => void) | null>(null);

  useEffect(() => {
    isWatching.current = watching;
  }, [watching]);
  useEffect(() => () => callOff.current?.(), []);

  const dismiss = useCallback((titleId: string) => {
    setTitles((shown) => shown.filter((one) => one.titleId !== titleId));
  }, []);

  const onNews = useCallback(
    (news: RegionNews) => {
      if (news.kind === "move") {
        callOff.current?.();
        callOff.current = moveAway(news, () => isWatching.current);
        return;
      }
      const { titleId, title } = news;
      setTitles((shown) => withTitle(shown, { titleId, title }));
      setTimeout(() => dismiss(titleId), SHOWN_MS);
    },
    [dismiss],
  );

  return { titles, onNews, dismiss };
}
