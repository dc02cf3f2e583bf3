/** A page's end of the event stream: through the shared worker, or directly where there is none. */
import { deviceId } from "./device";
import type { PageMessage, RegionEvent } from "./protocol";
import { openEventStream } from "./stream";

/** Listen as `account`. The result stops listening. */
export function listen(account: string, deliver: (event: RegionEvent) => void): () => void {
  const device = deviceId();
  if (typeof SharedWorker === "undefined") return openEventStream(device, deliver);

  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: "kinema-events",
  });
  const { port } = worker;
  const tell = (message: PageMessage) => port.postMessage(message);
  const leave = () => tell({ kind: "leave" });
  // A page that comes back from the browser's history has left before and must say again that it is here.
  const arrive = () => tell({ kind: "listen", account, device });
  let closeDirect: (() => void) | null = null;

  worker.onerror = () => {
    closeDirect ??= openEventStream(device, deliver);
  };
  port.onmessage = ({ data }: MessageEvent<RegionEvent>) => deliver(data);
  port.start();
  arrive();
  addEventListener("pagehide", leave);
  addEventListener("pageshow", arrive);

  return () => {
    removeEventListener("pagehide", leave);
    removeEventListener("pageshow", arrive);
    leave();
    port.close();
    closeDirect?.();
  };
}
