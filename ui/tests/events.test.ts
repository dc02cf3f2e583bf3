import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { destination } from "../src/app/move";
import { withTitle } from "../src/app/useNews";
import { deviceId } from "../src/events/device";
import { EVENT_NAMES, readEvent, type RegionEvent } from "../src/events/protocol";
import { openEventStream, retryDelay } from "../src/events/stream";

test("events of the region are understood", () => {
  expect(readEvent("catalog", '{"version":7}')).toEqual({ kind: "catalog", version: 7 });
  expect(readEvent("jobs", '{"jobs":[]}')).toEqual({ kind: "jobs", jobs: [] });
  expect(readEvent("title", '{"title_id":"ttl_1","title":"A film"}')).toEqual({
    kind: "title",
    titleId: "ttl_1",
    title: "A film",
  });
  expect(readEvent("move", '{"address":"https://b.example","within_seconds":60}')).toEqual({
    kind: "move",
    address: "https://b.example",
    withinSeconds: 60,
  });
  expect(readEvent("move", '{"address":"https://b.example","within_seconds":1e9}')).toMatchObject({ withinSeconds: 3600 });
  expect(readEvent("reconnect", '{"after_ms":250}')).toEqual({ kind: "reconnect", afterMs: 250 });
});

test("what is not understood is left out", () => {
  const odd = ["", "null", "[]", '{"version":"7"}', '{"jobs":{}}', '{"title_id":1,"title":"x"}', '{"address":[]}'];
  for (const data of odd) {
    for (const name of EVENT_NAMES) {
      if (name !== "reconnect") expect(readEvent(name, data)).toBeNull();
    }
  }
  expect(readEvent("title", '{"title_id":"ttl_1","title":""}')).toBeNull();
  expect(readEvent("reconnect", '{"after_ms":-5}')).toEqual({ kind: "reconnect", afterMs: 0 });
});

/** Stands where the browser's EventSource would: node has none that tests can steer. */
class Source extends EventTarget {
  static readonly CLOSED = 2;
  static all: Source[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly url: string) {
    super();
    Source.all.push(this);
  }

  close() {
    this.readyState = Source.CLOSED;
  }

  say(name: string, data: string, lastEventId = "") {
    this.dispatchEvent(Object.assign(new Event(name), { data, lastEventId }));
  }
}

function newest(): Source {
  const source = Source.all.at(-1);
  if (!source) throw new Error("no stream was opened");
  return source;
}

beforeEach(() => {
  Source.all = [];
  vi.stubGlobal("EventSource", Source);
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a stream that was refused is opened again, with what was heard last", () => {
  const told: RegionEvent[] = [];
  const close = openEventStream("browser-1", (event) => told.push(event), () => 0);
  expect(newest().url).toBe("/v1/events?device=browser-1");
  newest().onopen?.();
  newest().say("title", '{"title_id":"ttl_1","title":"A film"}', "msg_7");
  newest().close();
  newest().onerror?.();
  expect(told.map((event) => event.kind)).toEqual(["link", "title", "link"]);
  vi.advanceTimersByTime(999);
  expect(Source.all).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(newest().url).toBe("/v1/events?device=browser-1&after=msg_7");
  close();
  vi.advanceTimersByTime(60_000);
  expect(Source.all).toHaveLength(2);
});

test("a gateway that stops is left without a word and another one is asked when it said", () => {
  const told: RegionEvent[] = [];
  openEventStream("browser-1", (event) => told.push(event));
  const first = newest();
  first.onopen?.();
  first.say("reconnect", '{"after_ms":700}');
  expect(first.readyState).toBe(Source.CLOSED);
  first.onerror?.();
  first.say("catalog", '{"version":1}');
  expect(told).toEqual([{ kind: "link", up: true }]);
  vi.advanceTimersByTime(699);
  expect(Source.all).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(Source.all).toHaveLength(2);
});

test("delays double to four seconds, each less up to a half", () => {
  expect([0, 1, 2, 3, 9].map((failures) => retryDelay(failures, () => 0))).toEqual([1000, 2000, 4000, 4000, 4000]);
  expect(retryDelay(0, () => 1)).toBe(500);
});

test("a browser keeps its id, and has one where nothing can be kept", () => {
  const kept = new Map<string, string>();
  vi.stubGlobal("localStorage", { getItem: (key: string) => kept.get(key) ?? null, setItem: (k: string, v: string) => kept.set(k, v) });
  const first = deviceId();
  expect(first).toMatch(/^[A-Za-z0-9._~-]{8,64}$/);
  expect(deviceId()).toBe(first);
  kept.set("kinema.device", "no good\n");
  expect(deviceId()).not.toBe("no good\n");
  vi.stubGlobal("localStorage", undefined);
  expect(deviceId()).not.toBe(deviceId());
});

test("only addresses of the operator are obeyed, and none that is less safe", () => {
  const allowed = ["https://b.example", "http://c.example:8080", "javascript:alert(1)", "https://b.example/path"];
  const here = "https://a.example/titles/ttl_1?next=x#frag";
  expect(destination("https://b.example", here, allowed)).toBe("https://b.example/titles/ttl_1");
  expect(destination("http://c.example:8080", "http://a.example/", allowed)).toBe("http://c.example:8080/");
  expect(destination("http://c.example:8080", here, allowed)).toBeNull();
  expect(destination("https://b.example", "https://b.example/", allowed)).toBeNull();
  for (const address of ["https://evil.example", "javascript:alert(1)", "https://b.example/path", "//b.example", ""]) {
    expect(destination(address, here, allowed)).toBeNull();
  }
});

test("a new title is shown once, and at most three at a time", () => {
  const titles = ["1", "2", "1", "3", "4"].map((titleId) => ({ titleId, title: `Film ${titleId}` }));
  const shown = titles.reduce<ReturnType<typeof withTitle>>(withTitle, []);
  expect(shown.map((one) => one.titleId)).toEqual(["1", "3", "4"]);
});
