/**
 * The event stream itself, kept open through restarts of the region.
 *
 * EventSource reconnects by itself when a connection breaks, after a time that its gateway has drawn for it, but gives up
 * for good when the answer is not a stream (a gateway that starts answers 503). Then it is opened again after a delay
 * that doubles from 1 s to 4 s, less up to a half of it by chance, so that all browsers do not come back at once. A gateway
 * that stops says when to come again. What was heard last is said when the stream is opened anew, so nothing comes twice.
 */
import { EVENT_NAMES, readEvent, type RegionEvent } from "./protocol";

export function retryDelay(failures: number, random: () => number): number {
  return Math.min(4000, 1000 * 2 ** failures) * (1 - random() / 2);
}

/** Open the stream for a device. The result closes it. */
export function openEventStream(
  device: string,
  deliver: (event: RegionEvent) => void,
  random: () => number = Math.random,
): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let heard = "";

  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };

  const open = () => {
    close();
    const query = new URLSearchParams({ device });
    if (heard !== "") query.set("after", heard);
    const opened = new EventSource(`/v1/events?${query}`);
    source = opened;
    opened.onopen = () => {
      failures = 0;
      deliver({ kind: "link", up: true });
    };
    opened.onerror = () => {
      if (source !== opened) return;
      deliver({ kind: "link", up: false });
      if (opened.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, retryDelay(failures, random));
      failures += 1;
    };
    for (const name of EVENT_NAMES) {
      opened.addEventListener(name, (message: MessageEvent<string>) => {
        if (source !== opened) return;
        if (message.lastEventId !== "") heard = message.lastEventId;
        const event = readEvent(name, message.data);
        if (event?.kind === "reconnect") {
          close();
          timer = setTimeout(open, event.afterMs);
        } else if (event) deliver(event);
      });
    }
  };

  open();
  return close;
}
