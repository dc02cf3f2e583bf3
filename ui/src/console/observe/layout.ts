/**
 * Places services on the map: callers stand left of whom they call.
 *
 * layer     a node's layer is the longest way to it from a node that nobody calls; calls that would close a circle do not
 *           count (depth first, in the order of the names, so that the picture stays the same from second to second)
 * order     within a layer, nodes go to the mean place of their callers (the barycentre method of Sugiyama, Tagawa and Toda,
 *           1981), a few times back and forth, which leaves few crossings
 */
import type { ServiceEdge, ServiceNode } from "../../api/types";

export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 66;
const COLUMN = 400;
const ROW = 112;
const MARGIN = 4;
const BELOW = 52; // room for calls that go back
const SWEEPS = 4;

export interface Place {
  x: number;
  y: number;
}

export interface Layout {
  width: number;
  height: number;
  places: ReadonlyMap<string, Place>;
}

/** Return where each node's upper left corner goes, and how large the picture is. */
export function layoutOf(nodes: readonly ServiceNode[], edges: readonly ServiceEdge[]): Layout {
  const names = nodes.map((node) => node.name).sort();
  const known = new Set(names);
  const calls = edges
    .filter((edge) => edge.source !== edge.target && known.has(edge.source) && known.has(edge.target))
    .map((edge): [string, string] => [edge.source, edge.target])
    .sort(([a, b], [c, d]) => (a === c ? b.localeCompare(d) : a.localeCompare(c)));
  const forward = withoutCircles(names, calls);
  const layers = layersOf(names, forward);
  arrange(layers, forward);
  const rows = Math.max(1, ...layers.map((layer) => layer.length));
  const places = new Map<string, Place>();
  layers.forEach((layer, column) => {
    const top = ((rows - layer.length) * ROW) / 2;
    layer.forEach((name, row) => {
      places.set(name, { x: MARGIN + column * COLUMN, y: MARGIN + top + row * ROW });
    });
  });
  return {
    width: 2 * MARGIN + Math.max(0, layers.length - 1) * COLUMN + NODE_WIDTH,
    height: 2 * MARGIN + (rows - 1) * ROW + NODE_HEIGHT + (circles(calls, forward) ? BELOW : 0),
    places,
  };
}

function circles(calls: readonly unknown[], forward: readonly unknown[]): boolean {
  return forward.length < calls.length;
}

function withoutCircles(names: readonly string[], calls: readonly [string, string][]): [string, string][] {
  const called = new Set(calls.map(([, target]) => target));
  const roots = [...names.filter((name) => !called.has(name)), ...names];
  const done = new Set<string>();
  const open = new Set<string>();
  const kept: [string, string][] = [];
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

function layersOf(names: readonly string[], forward: readonly [string, string][]): string[][] {
  const depth = new Map(names.map((name) => [name, 0]));
  let settled = false;
  while (!settled) {
    settled = true; // there are no circles, so this ends after as many rounds as the longest way has calls
    for (const [source, target] of forward) {
      const wanted = (depth.get(source) ?? 0) + 1;
      if (wanted > (depth.get(target) ?? 0)) {
        depth.set(target, wanted);
        settled = false;
      }
    }
  }
  const layers: string[][] = [];
  for (const name of names) (layers[depth.get(name) ?? 0] ??= []).push(name);
  return Array.from(layers, (layer) => (layer as string[] | undefined) ?? []);
}

function arrange(layers: string[][], forward: readonly [string, string][]): void {
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const ranks = new Map<string, number>();
    for (const layer of layers) {
      layer.forEach((name, row) => ranks.set(name, row - (layer.length - 1) / 2));
    }
    const down = sweep % 2 === 0;
    for (const layer of layers) {
      const centre = new Map(
        layer.map((name) => {
          const others = forward
            .filter(([source, target]) => (down ? target : source) === name)
            .map(([source, target]) => ranks.get(down ? source : target) ?? 0);
          const mean = others.reduce((sum, rank) => sum + rank, 0) / others.length;
          return [name, others.length > 0 ? mean : (ranks.get(name) ?? 0)];
        }),
      );
      layer.sort((a, b) => (centre.get(a) ?? 0) - (centre.get(b) ?? 0) || a.localeCompare(b));
    }
  }
}

export interface Drawn {
  edge: ServiceEdge;
  path: string;
  label: Place;
}

/** Where along its way a call's words may stand, the best place first. */
const LABEL_SHARES = [0.62, 0.38, 0.5, 0.56, 0.44, 0.68, 0.32, 0.74, 0.26, 0.8, 0.2, 0.86, 0.14];
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
      const curve = curveOf(from, to);
      const places = LABEL_SHARES.map((share) => at(curve, share));
      const label = places.find(free) ?? at(curve, 0.5);
      taken.push(label);
      const [a, b, c, d] = curve;
      return [{ edge, path: `M ${a.x} ${a.y} C ${b.x} ${b.y}, ${c.x} ${c.y}, ${d.x} ${d.y}`, label }];
    });
}

type Curve = [Place, Place, Place, Place];

/** From the right of the caller to the left of the called; back, or within a layer, below both. */
function curveOf(from: Place, to: Place): Curve {
  if (to.x <= from.x) {
    const a = { x: from.x + NODE_WIDTH / 2, y: from.y + NODE_HEIGHT };
    const d = { x: to.x + NODE_WIDTH / 2, y: to.y + NODE_HEIGHT };
    const low = Math.max(a.y, d.y) + 46;
    return [a, { x: a.x, y: low }, { x: d.x, y: low }, d];
  }
  const a = { x: from.x + NODE_WIDTH, y: from.y + NODE_HEIGHT / 2 };
  const d = { x: to.x, y: to.y + NODE_HEIGHT / 2 };
  const bend = (d.x - a.x) / 2;
  return [a, { x: a.x + bend, y: a.y }, { x: d.x - bend, y: d.y }, d];
}

function at([a, b, c, d]: Curve, t: number): Place {
  const mix = (p: number, q: number, r: number, s: number) =>
    (1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t ** 2 * r + t ** 3 * s;
  return { x: mix(a.x, b.x, c.x, d.x), y: mix(a.y, b.y, c.y, d.y) };
}
