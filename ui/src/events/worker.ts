/**
 * The shared worker that holds the one event stream of this browser: browsers allow an HTTP/1.1 origin six
 * connections, so a stream for each tab would soon leave none for anything else.
 */
import { isState, type PageMessage, type RegionEvent, type RegionState } from "./protocol";
import { openEventStream } from "./stream";

const pages = new Set<MessagePort>();
const latest = new Map<RegionState["kind"], RegionState>();
let listeningAs = "";
let close: (() => void) | null = null;

function deliver(event: RegionEvent): void {
  if (isState(event)) latest.set(event.kind, event);
  for (const page of pages) page.postMessage(event);
}

/** The stream carries what its account may see: a page of another account means that somebody else signed in. */
function listenAs(account: string, device: string): void {
  if (close && listeningAs === account) return;
  close?.();
  latest.clear();
  listeningAs = account;
  close = openEventStream(device, deliver);
}

function leave(page: MessagePort): void {
  pages.delete(page);
  if (pages.size > 0) return;
  close?.();
  close = null;
  latest.clear();
}

self.addEventListener("connect", (event) => {
  const page = (event as MessageEvent).ports[0];
  if (!page) return;
  page.onmessage = ({ data }: MessageEvent<PageMessage>) => {
    if (data.kind === "leave") {
      leave(page);
      return;
    }
    pages.add(page);
    listenAs(data.account, data.device);
    for (const known of latest.values()) page.postMessage(known);
  };
});
