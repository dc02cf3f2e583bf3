/** What the event stream says, and how the shared worker tells it to its pages. */
import type { Job } from "../api/types";

/** The state of the region: the last one of each kind counts, also for a page that comes later. */
export type RegionState =
  | { kind: "link"; up: boolean }
  | { kind: "catalog"; version: number }
  | { kind: "jobs"; jobs: Job[] };

/** Something that happened: for the pages that are open now. */
export type RegionNews =
  | { kind: "title"; titleId: string; title: string }
  | { kind: "move"; address: string; withinSeconds: number };

export type RegionEvent = RegionState | RegionNews;

/** Come again after this: between the stream and its server, pages do not hear of it. */
export interface Reconnect {
  kind: "reconnect";
  afterMs: number;
}

/** The events by the names that the stream gives them. */
export const EVENT_NAMES = ["catalog", "jobs", "title", "move", "reconnect"] as const;
export type EventName = (typeof EVENT_NAMES)[number];

/** From a page to the worker: here I am, signed in as this account, on this device; or: I leave. */
export type PageMessage = { kind: "listen"; account: string; device: string } | { kind: "leave" };

export function isState(event: RegionEvent): event is RegionState {
  return event.kind === "link" || event.kind === "catalog" || event.kind === "jobs";
}

const LONGEST_MOVE_S = 3600;

function seconds(value: unknown, most: number): number {
  return typeof value === "number" && value >= 0 ? Math.min(value, most) : 0;
}

/** Read one server-sent event; what is not understood is left out. */
export function readEvent(name: EventName, data: string): RegionEvent | Reconnect | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const said = value as Record<string, unknown>;
  switch (name) {
    case "catalog":
      return typeof said.version === "number" ? { kind: "catalog", version: said.version } : null;
    case "jobs":
      return Array.isArray(said.jobs) ? { kind: "jobs", jobs: said.jobs as Job[] } : null;
    case "title":
      if (typeof said.title_id !== "string" || typeof said.title !== "string" || said.title === "") return null;
      return { kind: "title", titleId: said.title_id, title: said.title };
    case "move":
      if (typeof said.address !== "string") return null;
      return { kind: "move", address: said.address, withinSeconds: seconds(said.within_seconds, LONGEST_MOVE_S) };
    case "reconnect":
      return { kind: "reconnect", afterMs: seconds(said.after_ms, 60_000) };
  }
}
