import { expect, test } from "vitest";

import { move, type GridRow } from "../src/navigation/grid";

const menu: GridRow = { middles: [100, 900, 1000], lastIndex: -1 };
const empty: GridRow = { middles: [], lastIndex: -1 };
const shelf: GridRow = { middles: [100, 300, 500, 700], lastIndex: -1 };
const leftShelf: GridRow = { middles: [-300, -100, 100, 300], lastIndex: 3 };

test("left and right stay in the row and end with it", () => {
  expect(move([shelf], { row: 0, index: 1, x: 300 }, "ArrowRight")).toEqual({ row: 0, index: 2 });
  expect(move([shelf], { row: 0, index: 3, x: 700 }, "ArrowRight")).toBeNull();
  expect(move([shelf], { row: 0, index: 0, x: 100 }, "ArrowLeft")).toBeNull();
});

test("down goes to the thing below, over rows that are empty", () => {
  expect(move([menu, empty, shelf], { row: 0, index: 1, x: 900 }, "ArrowDown")).toEqual({ row: 2, index: 3 });
  expect(move([menu, empty, shelf], { row: 2, index: 0, x: 100 }, "ArrowUp")).toEqual({ row: 0, index: 0 });
});

test("a row is entered where it was left", () => {
  expect(move([shelf, leftShelf], { row: 0, index: 0, x: 100 }, "ArrowDown")).toEqual({ row: 1, index: 3 });
});

test("the walk keeps to its column through a narrow row", () => {
  const link: GridRow = { middles: [1200], lastIndex: -1 };
  const down = move([shelf, link, shelf], { row: 0, index: 1, x: 300 }, "ArrowDown");
  expect(down).toEqual({ row: 1, index: 0 });
  expect(move([shelf, link, shelf], { row: 1, index: 0, x: 300 }, "ArrowDown")).toEqual({ row: 2, index: 1 });
});

test("the page ends above its first and below its last row", () => {
  expect(move([menu, shelf], { row: 0, index: 0, x: 100 }, "ArrowUp")).toBeNull();
  expect(move([menu, shelf], { row: 1, index: 0, x: 100 }, "ArrowDown")).toBeNull();
});
