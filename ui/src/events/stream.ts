/**
 * The event stream itself, kept open through restarts of the region.
 *
 * EventSource reconnects by itself when a connection breaks, but gives up for good when the answer is not a
 * stream (a gateway that starts answers 503). Then it is opened again after a delay that doubles from 1 s to 4 s.
 */
import { readEvent, type RegionEvent } from "./protocol";

/** Open the stream. The result closes it. */
export function openEventStream(deliver: (event: RegionEvent) => void): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;

  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };

  const open = () => {
    close();
    const opened = new EventSource("/v1/events");
    source = opened;
    opened.onopen = () => {
      failures = 0;
      deliver({ kind: "link", up: true });
    };
    opened.onerror = () => {
      deliver({ kind: "link", up: false });
      if (opened.readyState !== EventSource.CLOSED || source !== opened) return;
      timer = setTimeout(open, Math.min(4000, 1000 * 2 ** failures));
      failures += 1;
    };
    for (const name of ["catalog", "jobs"] as const) {
      opened.addEventListener(name, (message: MessageEvent<string>) => {
        const event = readEvent(name, message.data);
        if (event) deliver(event);
      });
    }
  };

  open();
  return close;
}
