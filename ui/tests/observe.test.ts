import { describe, expect, test } from "vitest";

import type { ServiceEdge, ServiceNode, ServiceSeries, Span } from "../src/api/types";
import { precise, rate, share, shortTime, windowName } from "../src/console/observe/figures";
import { drawnOf, layoutOf, NODE_HEIGHT, wayKey } from "../src/console/observe/layout";
import { totalsOf } from "../src/console/observe/totals";
import { waterfallOf } from "../src/console/observe/waterfall";

const node = (name: string): ServiceNode => ({
  name,
  kind: "service",
  instances: 2,
  rps: 1,
  error_ratio: 0,
  p50_seconds: 0.01,
  p99_seconds: 0.1,
});

const edge = (source: string, target: string): ServiceEdge => ({
  source,
  target,
  rps: 1,
  error_ratio: 0,
  p50_seconds: 0.01,
  p99_seconds: 0.1,
});

const span = (id: string, parent: string, started: number, seconds: number): Span => ({
  trace_id: "t",
  span_id: id,
  parent_id: parent,
  name: id,
  kind: "server",
  service: "s",
  instance: "s-1",
  started_at: started,
  seconds,
  status: 200,
  error: false,
  attributes: {},
});

describe("figures", () => {
  test("times are as fine as they need to be", () => {
    expect([0.0000042, 0.0042, 0.42, 1.25, 42.04, null].map(shortTime)).toEqual([
      "4 µs",
      "4.2 ms",
      "420 ms",
      "1.25 s",
      "42.0 s",
      "–",
    ]);
  });

  test("a share that is not quite nothing is never shown as nothing", () => {
    expect([0, 0.0004, 0.0123, 0.5, -0.25, null].map(share)).toEqual(["0.0 %", "< 0.1 %", "1.2 %", "50 %", "-25 %", "–"]);
  });

  test("objectives are told apart to the last nine", () => {
    expect([0.99, 0.9995, 0.99999].map(precise)).toEqual(["99 %", "99.95 %", "99.999 %"]);
  });

  test("rates and windows are named as people name them", () => {
    expect([0, 0.24, 3.14, 1234.5].map(rate)).toEqual(["0/s", "0.24/s", "3.1/s", "1,235/s"]);
    expect([300, 3600, 259_200].map(windowName)).toEqual(["5 min", "1 h", "3 d"]);
  });
});

describe("the map", () => {
  test("callers stand left of whom they call, also where two call each other", () => {
    const nodes = ["gateway", "catalog", "playback", "members"].map(node);
    const edges = [
      edge("gateway", "playback"),
      edge("gateway", "members"),
      edge("playback", "catalog"),
      edge("catalog", "playback"),
    ];
    const { places } = layoutOf(nodes, edges);
    const x = (name: string) => places.get(name)?.x ?? Number.NaN;
    expect(x("gateway")).toBeLessThan(x("playback"));
    expect(x("playback")).toBeLessThan(x("catalog"));
    expect(x("members")).toBe(x("playback"));
  });

  test("no two services stand in one place, whoever calls whom", () => {
    const names = Array.from({ length: 14 }, (_, number) => `s${number}`);
    const edges = names.flatMap((source, i) => names.filter((_, j) => (i * 7 + j * 3) % 5 === 0).map((target) => edge(source, target)));
    const { places, width, height } = layoutOf(names.map(node), edges);
    expect(new Set([...places.values()].map(({ x, y }) => `${x} ${y}`)).size).toBe(names.length);
    for (const { x, y } of places.values()) {
      expect(x >= 0 && y >= 0 && x < width && y + NODE_HEIGHT <= height).toBe(true);
    }
  });

  test("a call over several layers passes no node", () => {
    const nodes = ["a", "b", "c", "d"].map(node);
    const edges = [edge("a", "b"), edge("b", "c"), edge("c", "d"), edge("a", "d")];
    const { places, ways } = layoutOf(nodes, edges);
    const way = ways.get(wayKey("a", "d")) ?? [];
    expect(way).toHaveLength(2);
    for (const { x, y } of way) {
      for (const place of places.values()) {
        expect(place.x === x && y > place.y && y < place.y + NODE_HEIGHT).toBe(false);
      }
    }
  });

  test("a call to nobody on the map is left out, and an empty map has a size", () => {
    expect(layoutOf([node("a")], [edge("a", "gone")]).places.size).toBe(1);
    expect(layoutOf([], []).places.size).toBe(0);
  });

  test("the words of calls do not cover each other while there is room", () => {
    const callers = ["a", "b"];
    const called = ["d", "e", "f"];
    const edges = callers.flatMap((source) => called.map((target) => edge(source, target)));
    const labels = drawnOf(edges, layoutOf([...callers, ...called].map(node), edges)).map((one) => one.label);
    const covering = labels.filter((one, i) =>
      labels.some((other, j) => j < i && Math.abs(one.x - other.x) < 90 && Math.abs(one.y - other.y) < 30),
    );
    expect(labels).toHaveLength(6);
    expect(covering).toEqual([]);
  });
});

describe("the waterfall", () => {
  test("a span stands below the one that caused it", () => {
    const rows = waterfallOf([span("c", "b", 2, 1), span("a", "", 0, 4), span("d", "a", 3, 1), span("b", "a", 1, 2)], 0, 4);
    expect(rows.map((row) => [row.span.span_id, row.depth])).toEqual([
      ["a", 0],
      ["b", 1],
      ["c", 2],
      ["d", 1],
    ]);
    expect(rows.map((row) => [row.from, row.length])).toEqual([
      [0, 1],
      [0.25, 0.5],
      [0.5, 0.25],
      [0.75, 0.25],
    ]);
  });

  test("no span is left out, however its parents are told", () => {
    const odd = [span("a", "b", 0, 1), span("b", "a", 0, 1), span("c", "gone", 1, 1), span("d", "d", 2, 1)];
    expect(waterfallOf(odd, 0, 3).map((row) => row.span.span_id).sort()).toEqual(["a", "b", "c", "d"]);
  });
});

test("totals add what a service answers and leave out what it asks", () => {
  const route = { route: "/", peer: "", requests: 3, failed: 0, p50: 0.1, p99: 0.2 };
  const series: ServiceSeries = {
    service: "s",
    starts_at: 100,
    step_seconds: 5,
    steps: 2,
    routes: [
      { ...route, kind: "server", rps: [1, 2], errors: [0, 1], p50_seconds: [0.1, null], p99_seconds: [0.2, null] },
      { ...route, kind: "server", rps: [1, 0], errors: [0, 0], p50_seconds: [0.3, null], p99_seconds: [0.4, null] },
      { ...route, kind: "client", rps: [9, 9], errors: [9, 9], p50_seconds: [9, 9], p99_seconds: [9, 9] },
    ],
  };
  expect(totalsOf(series)).toEqual({
    times: [100, 105],
    rps: [2, 2],
    errors: [0, 1],
    p50: [0.3, null],
    p99: [0.4, null],
  });
});
