/**
 * Arrow-key and remote-control navigation over whatever rows the page shows: an element with `data-nav-row` is a
 * row, the links and buttons in it are its things. Enter is the browser's own. Text fields and sliders keep their arrows.
 */
import { useEffect } from "react";

import { isArrow, move, type GridRow } from "./grid";

const THINGS = "a[href], button:not(:disabled)";
const lastThing = new WeakMap<Element, Element>();

/** The column of a walk up and down, and the thing on which its last step ended. */
let walk = { x: 0, at: null as Element | null };

function thingsOf(row: Element): HTMLElement[] {
  return [...row.querySelectorAll<HTMLElement>(THINGS)].filter((thing) => thing.offsetParent !== null);
}

function middleOf(thing: Element): number {
  const box = thing.getBoundingClientRect();
  return box.left + box.width / 2;
}

function keepsItsArrows(element: Element): boolean {
  return element.closest("input, textarea, select, [role=slider], [role=menu], dialog, [data-own-keys]") !== null;
}

function onKeyDown(event: KeyboardEvent): void {
  if (!isArrow(event.key) || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  const active = document.activeElement ?? document.body;
  if (keepsItsArrows(active)) return;

  const rows = [...document.querySelectorAll("[data-nav-row]")];
  const things = rows.map(thingsOf);
  const current = rows.findIndex((row) => row.contains(active));
  if (current < 0) {
    const first = document.querySelector("main [data-nav-row]");
    const start = first && thingsOf(first)[0];
    if (!start || active.closest("[data-nav-row], form, [data-own-keys]")) return;
    event.preventDefault();
    start.focus();
    return;
  }
  const grid: GridRow[] = rows.map((row, at) => {
    const left = lastThing.get(row);
    return {
      middles: (things[at] ?? []).map(middleOf),
      lastIndex: left ? (things[at] ?? []).findIndex((thing) => thing === left) : -1,
    };
  });
  const index = (things[current] ?? []).findIndex((thing) => thing === active);
  const x = walk.at === active ? walk.x : middleOf(active);
  const place = move(grid, { row: current, index, x }, event.key);
  event.preventDefault();
  const target = place && things[place.row]?.[place.index];
  if (!target) return;
  const vertical = event.key === "ArrowUp" || event.key === "ArrowDown";
  walk = { x, at: vertical ? target : null };
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "smooth" });
}

/** Remember where a row was left. */
function onFocusIn(event: FocusEvent): void {
  if (!(event.target instanceof HTMLElement)) return;
  const row = event.target.closest("[data-nav-row]");
  if (row) lastThing.set(row, event.target);
}

export function useArrowKeys(): void {
  useEffect(() => {
    document.addEventListener("keydown", onKeyDown);
    document.addEventListener("focusin", onFocusIn);
    return () => {
      document.removeEventListener("keydown", onKeyDown);
      document.removeEventListener("focusin", onFocusIn);
    };
  }, []);
}
