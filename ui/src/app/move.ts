/**
 * Going over to another region when this one asks for it (a `move` message).
 *
 * Only an address that the operator has set is obeyed, and none that leads from https to http: whoever could send messages
 * could otherwise send people anywhere. Each browser goes at a time of its own, and not in the middle of a film.
 */
import { request } from "../api/request";
import type { RegionNews } from "../events/protocol";

type Move = Extract<RegionNews, { kind: "move" }>;

/** Where this page is in the other region; null when the address must not be obeyed. */
export function destination(address: string, here: string, allowed: readonly string[]): string | null {
  if (!allowed.includes(address)) return null;
  let there: URL;
  const from = new URL(here);
  try {
    there = new URL(address);
  } catch {
    return null;
  }
  const upgraded = there.protocol === "https:" || (there.protocol === "http:" && from.protocol === "http:");
  if (!upgraded || there.origin !== address || there.origin === from.origin) return null;
  // The page, not what belongs to this region: a claim or a search of ours means nothing there.
  return there.origin + from.pathname;
}

/** Ask where browsers may be sent, then go there when nothing plays. The result calls it off. */
export function moveAway(move: Move, watching: () => boolean): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let calledOff = false;
  const go = async () => {
    if (calledOff) return;
    if (watching()) {
      timer = setTimeout(() => void go(), 2000);
      return;
    }
    const { addresses } = await request<{ addresses: string[] }>("/v1/push/addresses");
    const there = destination(move.address, location.href, addresses);
    if (there !== null) location.replace(there);
  };
  timer = setTimeout(() => void go().catch(() => undefined), Math.random() * move.withinSeconds * 1000);
  return () => {
    calledOff = true;
    clearTimeout(timer);
  };
}
