/**
 * Places services on the map: callers stand left of whom they call.
 *
 * layer     a node's layer is the longest way to it from a node that nobody calls; calls that would close a circle do not
 *           count (depth first, in the order of the names, so that the picture stays the same from second to second)
 * way       a call over several layers gets a place of its own in each layer between, so that it passes no node
 * order     within a layer, everything goes to the mean place of its callers, then of those it calls, a few times back and
 *           forth (the barycentre method), which leaves few crossings
 * After Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981.
 */
import type { ServiceEdge, ServiceNode } from "../../api/types";

export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 66;
const COLUMN = 352;
const NODE_ROW = 104;
const WAY_ROW = 40;
const MARGIN = 4;
const BELOW = 52; // room for calls that go back
const SWEEPS = 8;

export interface Place {
  x: number;
  y: number;
}

export interface Layout {
  width: number;
  height: number;
  /** The upper left corner of each node. */
  places: ReadonlyMap<string, Place>;
  /** The places by which a call passes the layers between its ends; by `wayKey`. */
  ways: ReadonlyMap<string, readonly Place[]>;
}

/** One thing in a layer: a node, or the way of a call that passes. */
interface Item {
  id: string;
  height: number;
}

type Link = [source: string, target: string];

export function wayKey(source: string, target: string): string {
  return `${source} ${target}`;
}

/** Return where nodes and calls go, and how large the picture is. */
export function layoutOf(nodes: readonly ServiceNode[], edges: readonly ServiceEdge[]): Layout {
  const names = nodes.map((node) => node.name).sort();
  const known = new Set(names);
  const calls = edges
    .map((edge): Link => [edge.source, edge.target])
    .filter(([source, target]) => source !== target && known.has(source) && known.has(target))
    .sort(([a, b], [c, d]) => (a === c ? b.localeCompare(d) : a.localeCompare(c)));
  const forward = withoutCircles(names, calls);
  const depths = depthsOf(names, forward);
  const { layers, links, passing } = withWays(names, forward, depths);
  arrange(layers, links);
  const centres = new Map<string, Place>();
  const heights = layers.map((layer) => layer.reduce((sum, item) => sum + item.height, 0));
  const tallest = Math.max(NODE_ROW, ...heights);
  layers.forEach((layer, column) => {
    let y = MARGIN + (tallest - (heights[column] ?? 0)) / 2;
    for (const item of layer) {
      centres.set(item.id, { x: MARGIN + column * COLUMN, y: y + item.height / 2 });
      y += item.height;
    }
  });
  const centre = (id: string): Place => centres.get(id) ?? { x: 0, y: 0 };
  const corner = ({ x, y }: Place): Place => ({ x, y: y - NODE_HEIGHT / 2 });
  return {
    width: 2 * MARGIN + Math.max(0, layers.length - 1) * COLUMN + NODE_WIDTH,
    height: 2 * MARGIN + tallest + (forward.length < calls.length ? BELOW : 0),
    places: new Map(names.map((name) => [name, corner(centre(name))])),
    ways: new Map([...passing].map(([key, ids]) => [key, ids.map(centre)])),
  };
}

function withoutCircles(names: readonly string[], calls: readonly Link[]): Link[] {
  const called = new Set(calls.map(([, target]) => target));
  const roots = [...names.filter((name) => !called.has(name)), ...names];
  const done = new Set<string>();
  const open = new Set<string>();
  const kept: Link[] = [];
  const visit = (name: string) => {
    done.add(name);
    open.add(name);
    for (const [source, target] of calls) {
      if (source !== name || open.has(target)) continue;
      kept.push([source, target]);
      if (!done.has(target)) visit(target);
    }
    open.delete(name);
  };
  for (const root of roots) if (!done.has(root)) visit(root);
  return kept;
}

function depthsOf(names: readonly string[], forward: readonly Link[]): Map<string, number> {
  const depths = new Map(names.map((name) => [name, 0]));
  let settled = false;
  while (!settled) {
    settled = true; // there are no circles, so this ends after as many rounds as the longest way has calls
    for (const [source, target] of forward) {
      const wanted = (depths.get(source) ?? 0) + 1;
      if (wanted > (depths.get(target) ?? 0)) {
        depths.set(target, wanted);
        settled = false;
      }
    }
  }
  return depths;
}

interface Layered {
  layers: Item[][];
  /** Every call, cut into steps from one layer to the next. */
  links: Link[];
  /** The ids of the places that each long call passes by. */
  passing: Map<string, string[]>;
}

function withWays(names: readonly string[], forward: readonly Link[], depths: ReadonlyMap<string, number>): Layered {
  const depth = (name: string) => depths.get(name) ?? 0;
  const layers: Item[][] = Array.from({ length: Math.max(0, ...names.map(depth)) + 1 }, () => []);
  for (const name of names) layers[depth(name)]?.push({ id: name, height: NODE_ROW });
  const links: Link[] = [];
  const passing = new Map<string, string[]>();
  for (const [source, target] of forward) {
    const between = Array.from({ length: depth(target) - depth(source) - 1 }, (_, step) => depth(source) + 1 + step);
    const ids = between.map((layer) => `${wayKey(source, target)} ${layer}`);
    between.forEach((layer, step) => layers[layer]?.push({ id: ids[step] ?? "", height: WAY_ROW }));
    passing.set(wayKey(source, target), ids);
    const stops = [source, ...ids, target];
    stops.slice(1).forEach((stop, step) => links.push([stops[step] ?? source, stop]));
  }
  return { layers, links, passing };
}

function arrange(layers: readonly Item[][], links: readonly Link[]): void {
  const ranks = new Map<string, number>();
  const rank = (layer: readonly Item[]) => {
    const height = layer.reduce((sum, item) => sum + item.height, 0);
    let y = -height / 2;
    for (const item of layer) {
      ranks.set(item.id, y + item.height / 2);
      y += item.height;
    }
  };
  layers.forEach(rank);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const centre = new Map(layer.map(({ id }) => [id, meanOfNeighbours(id, links, ranks, down)]));
      layer.sort((a, b) => (centre.get(a.id) ?? 0) - (centre.get(b.id) ?? 0) || a.id.localeCompare(b.id));
      rank(layer);
    }
  }
}

/** The mean place of those before (or behind) an item. What has neither goes to the end; what has only others stays. */
function meanOfNeighbours(id: string, links: readonly Link[], ranks: ReadonlyMap<string, number>, down: boolean): number {
  if (!links.some((link) => link.includes(id))) return Number.MAX_SAFE_INTEGER;
  const others = links
    .filter(([source, target]) => (down ? target : source) === id)
    .map(([source, target]) => ranks.get(down ? source : target) ?? 0);
  if (others.length === 0) return ranks.get(id) ?? 0;
  return others.reduce((sum, place) => sum + place, 0) / others.length;
}

export interface Drawn {
  edge: ServiceEdge;
  path: string;
  label: Place;
}

/** Where along a step of its way a call's words may stand, the best place first. */
const LABEL_SHARES = [0.62, 0.38, 0.5, 0.74, 0.26, 0.86, 0.14];
const LABEL_WIDTH = 96;
const LABEL_HEIGHT = 36;

/** Return the way of each call and where its words go: the busiest choose first, and none cover others while there is room. */
export function drawnOf(edges: readonly ServiceEdge[], layout: Layout): Drawn[] {
  const taken: Place[] = [];
  const free = ({ x, y }: Place) =>
    taken.every((other) => Math.abs(other.x - x) >= LABEL_WIDTH || Math.abs(other.y - y) >= LABEL_HEIGHT);
  return [...edges]
    .sort((a, b) => b.rps - a.rps)
    .flatMap((edge) => {
      const from = layout.places.get(edge.source);
      const to = layout.places.get(edge.target);
      if (!from || !to) return [];
      const curves = curvesOf(from, to, layout.ways.get(wayKey(edge.source, edge.target)) ?? []);
      const places = LABEL_SHARES.flatMap((share) => curves.map((curve) => at(curve, share)));
      const label = places.find(free) ?? places[0] ?? from;
      taken.push(label);
      return [{ edge, path: pathOf(curves), label }];
    });
}

type Curve = [Place, Place, Place, Place];

/** From the right of the caller past the layers between to the left of the called; back, or within a layer, below both. */
function curvesOf(from: Place, to: Place, way: readonly Place[]): Curve[] {
  if (to.x <= from.x) {
    const a = { x: from.x + NODE_WIDTH / 2, y: from.y + NODE_HEIGHT };
    const d = { x: to.x + NODE_WIDTH / 2, y: to.y + NODE_HEIGHT };
    const low = Math.max(a.y, d.y) + 46;
    return [[a, { x: a.x, y: low }, { x: d.x, y: low }, d]];
  }
  const stops = [...way, { x: to.x, y: to.y + NODE_HEIGHT / 2 }];
  let left = { x: from.x + NODE_WIDTH, y: from.y + NODE_HEIGHT / 2 };
  return stops.map((stop) => {
    const bend = (stop.x - left.x) / 2;
    const curve: Curve = [left, { x: left.x + bend, y: left.y }, { x: stop.x - bend, y: stop.y }, stop];
    left = { x: stop.x + NODE_WIDTH, y: stop.y };
    return curve;
  });
}

/** Between two curves the way goes straight through the layer. */
function pathOf(curves: readonly Curve[]): string {
  return curves
    .map(([a, b, c, d], step) => `${step === 0 ? "M" : "L"} ${a.x} ${a.y} C ${b.x} ${b.y}, ${c.x} ${c.y}, ${d.x} ${d.y}`)
    .join(" ");
}

function at([a, b, c, d]: Curve, t: number): Place {
  const mix = (p: number, q: number, r: number, s: number) =>
    (1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t ** 2 * r + t ** 3 * s;
  return { x: mix(a.x, b.x, c.x, d.x), y: mix(a.y, b.y, c.y, d.y) };
}
