/** What the event stream says, and how the shared worker tells it to its pages. */
import type { Job } from "../api/types";

export type RegionEvent =
  | { kind: "link"; up: boolean }
  | { kind: "catalog"; version: number }
  | { kind: "jobs"; jobs: Job[] };

/** From a page to the worker: here I am, signed in as this account; or: I leave. */
export type PageMessage = { kind: "listen"; account: string } | { kind: "leave" };

/** Read one server-sent event; what is not understood is left out. */
export function readEvent(name: "catalog" | "jobs", data: string): RegionEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  if (name === "catalog" && "version" in value && typeof value.version === "number") {
    return { kind: "catalog", version: value.version };
  }
  if (name === "jobs" && "jobs" in value && Array.isArray(value.jobs)) {
    return { kind: "jobs", jobs: value.jobs as Job[] };
  }
  return null;
}
