import { expect, test } from "vitest";

import { titleFromFileName, worthRetrying } from "../src/studio/upload";

test("a file's name proposes a title", () => {
  expect(["the_slow-weather.mp4", "Grain.final.mov", ".mp4", "clip"].map(titleFromFileName)).toEqual([
    "the slow weather",
    "Grain.final",
    ".mp4",
    "clip",
  ]);
});

test("what passes by itself is tried again, a refusal is not", () => {
  expect([0, 409, 423, 429, 500, 502, 503, 504].every(worthRetrying)).toBe(true);
  expect([400, 401, 403, 404, 410, 413, 415, 507].some(worthRetrying)).toBe(false);
});
