/** Orders the spans of a trace as a tree: a span stands below the one that caused it, in the order of their starts. */
import type { Span } from "../../api/types";

export interface WaterfallRow {
  span: Span;
  depth: number;
  /** Where the bar begins and how long it is, as shares of the whole trace. */
  from: number;
  length: number;
}

/** A span whose parent was not kept, or that claims to be its own ancestor, begins a tree of its own: none is left out. */
export function waterfallOf(spans: readonly Span[], startedAt: number, seconds: number): WaterfallRow[] {
  const known = new Set(spans.map((span) => span.span_id));
  const children = new Map<string, Span[]>();
  const roots: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.started_at - b.started_at)) {
    const parent = span.parent_id;
    if (parent === "" || parent === span.span_id || !known.has(parent)) roots.push(span);
    else children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const rows: WaterfallRow[] = [];
  const seen = new Set<Span>();
  const add = (first: Span) => {
    const waiting: [Span, number][] = [[first, 0]];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [span, depth] = next;
      if (seen.has(span)) continue;
      seen.add(span);
      rows.push({ span, depth, ...bar(span, startedAt, seconds) });
      for (const child of (children.get(span.span_id) ?? []).slice().reverse()) waiting.push([child, depth + 1]);
    }
  };
  roots.forEach(add);
  spans.forEach(add);
  return rows;
}

function bar(span: Span, startedAt: number, seconds: number): { from: number; length: number } {
  const whole = Math.max(seconds, 1e-9);
  const from = Math.min(1, Math.max(0, (span.started_at - startedAt) / whole));
  return { from, length: Math.min(1 - from, Math.max(0, span.seconds / whole)) };
}
