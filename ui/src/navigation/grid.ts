/**
 * Where an arrow key goes. The page is rows of things that can be focused; Left and Right stay in a row, Up and
 * Down go to the nearest row that has something, to the thing whose middle is closest (or to where that row was left).
 */

export type Arrow = "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown";

/** A row as it lies on the page: the horizontal middle of each of its things, and where it was left (-1: never). */
export interface GridRow {
  middles: readonly number[];
  lastIndex: number;
}

export interface GridPlace {
  row: number;
  index: number;
}

/** Where the walk stands; `x` is the column that it keeps to while it goes up and down. */
export interface GridStand extends GridPlace {
  x: number;
}

export function isArrow(key: string): key is Arrow {
  return key === "ArrowLeft" || key === "ArrowRight" || key === "ArrowUp" || key === "ArrowDown";
}

function closest(middles: readonly number[], x: number): number {
  let best = 0;
  middles.forEach((middle, index) => {
    if (Math.abs(middle - x) < Math.abs((middles[best] ?? Infinity) - x)) best = index;
  });
  return best;
}

/** The place that `arrow` leads to from `from`, or null when the page ends there. */
export function move(rows: readonly GridRow[], from: GridStand, arrow: Arrow): GridPlace | null {
  const row = rows[from.row];
  if (!row) return null;
  if (arrow === "ArrowLeft" || arrow === "ArrowRight") {
    const index = from.index + (arrow === "ArrowRight" ? 1 : -1);
    return index >= 0 && index < row.middles.length ? { row: from.row, index } : null;
  }
  const step = arrow === "ArrowDown" ? 1 : -1;
  for (let next = from.row + step; next >= 0 && next < rows.length; next += step) {
    const target = rows[next];
    if (!target || target.middles.length === 0) continue;
    const known = target.lastIndex >= 0 && target.lastIndex < target.middles.length;
    return { row: next, index: known ? target.lastIndex : closest(target.middles, from.x) };
  }
  return null;
}
