/** The facts about a title in the order in which people look for them. */
import type { Title } from "../api/types";
import { duration } from "../format";

/** The highest rung as people call it: "1080p". */
export function bestRung(title: Title): string {
  const height = Math.max(0, ...title.rungs.map((rung) => Math.min(rung.width, rung.height)));
  return height > 0 ? `${height}p` : "";
}

/** "1984", "48 s", "1080p": what is known, in one line's worth. */
export function shortFacts(title: Title): string[] {
  const year = title.year === null ? "" : String(title.year);
  return [year, duration(title.duration_seconds), bestRung(title), ...title.genres.slice(0, 2)].filter(Boolean);
}
