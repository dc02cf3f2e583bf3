import { expect, test } from "vitest";

import { readEvent } from "../src/events/protocol";

test("events of the region are understood", () => {
  expect(readEvent("catalog", '{"version":7}')).toEqual({ kind: "catalog", version: 7 });
  expect(readEvent("jobs", '{"jobs":[]}')).toEqual({ kind: "jobs", jobs: [] });
});

test("what is not understood is left out", () => {
  for (const data of ["", "null", "[]", '{"version":"7"}', '{"jobs":{}}']) {
    expect(readEvent("catalog", data)).toBeNull();
    expect(readEvent("jobs", data)).toBeNull();
  }
});
