import { describe, expect, test } from "vitest";

import type { PropertyState } from "../src/api/types";
import { changeOf, editable, found, parsed, scopeWords, shown, timeWords, type Draft } from "../src/console/properties/values";

const everywhere = { instance: "", service: "", zone: "", region: "", percent: 100 };
const draft: Draft = { value: "5", where: "everywhere", name: "", percent: "100", seconds: 0, reason: "" };

function property(name: string, more: Partial<PropertyState> = {}): PropertyState {
  return {
    name,
    kind: "whole number",
    value: 5,
    layer: "default",
    default: 5,
    description: "How many there are.",
    allowed: "a whole number",
    choices: [],
    variable: "",
    layers: [],
    overrides: [],
    revision: 0,
    ...more,
  };
}

describe("a value", () => {
  test("is shown so that an empty one is seen too", () => {
    expect([true, 5, "plain", "", ["a", "b"], []].map(shown)).toEqual(["true", "5", "plain", "(empty)", "a, b", "(empty list)"]);
  });

  test("that was edited and not changed is the same value", () => {
    expect(parsed("flag", editable(false))).toBe(false);
    expect(parsed("whole number", editable(-12))).toBe(-12);
    expect(parsed("number", editable(0.25))).toBe(0.25);
    expect(parsed("text", editable("two words"))).toBe("two words");
    expect(parsed("list", editable(["a", "b, c"]))).toEqual(["a", "b, c"]);
    expect(parsed("list", editable([]))).toEqual([]);
  });

  test("that is no number is refused with a sentence", () => {
    expect(() => parsed("number", "many")).toThrow("many is no number");
    expect(() => parsed("number", " ")).toThrow("Nothing is no number");
    expect(() => parsed("number", "Infinity")).toThrow("is no number");
    expect(() => parsed("whole number", "1.5")).toThrow("1.5 is no whole number");
    expect(() => parsed("whole number", "1e30")).toThrow("is no whole number");
  });
});

describe("what the form says", () => {
  test("holds everywhere and without end unless it says otherwise", () => {
    expect(changeOf("whole number", draft)).toEqual({ value: 5, scope: everywhere, expires_in: null, reason: "" });
  });

  test("names one place, a share of it, an end and a reason", () => {
    const said = { ...draft, where: "service" as const, name: " catalog ", percent: "2.5", seconds: 600, reason: " slow " };
    expect(changeOf("whole number", said)).toEqual({
      value: 5,
      scope: { ...everywhere, service: "catalog", percent: 2.5 },
      expires_in: 600,
      reason: "slow",
    });
  });

  test("is not sent without the name of the place or with a share that means nothing", () => {
    expect(() => changeOf("text", { ...draft, where: "zone", name: " " })).toThrow("Name the zone");
    for (const percent of ["0", "-1", "101", "", "half"]) {
      expect(() => changeOf("text", { ...draft, percent })).toThrow(/no share|no number/);
    }
  });
});

test("a scope reads as the command line writes it", () => {
  expect(scopeWords(everywhere)).toBe("everywhere");
  expect(scopeWords({ ...everywhere, instance: "catalog-1", service: "catalog" })).toBe("catalog-1 of catalog");
  expect(scopeWords({ ...everywhere, service: "catalog", zone: "b", percent: 10 })).toBe("10 % of catalog in zone b");
  expect(scopeWords({ ...everywhere, region: "home", percent: 2.5 })).toBe("2.5 % of instances in region home");
});

test("a search finds all its words, in names, descriptions, values and scopes", () => {
  const override = { value: 9, scope: { ...everywhere, zone: "b" }, expires_at: null, set_by: "Ada", set_at: "", reason: "", instances: [] };
  const all = [property("gateway.limit"), property("log.level", { value: "debug", layer: "file" }), property("edge.size", { overrides: [override] })];
  const names = (search: string, changedOnly = false) => found(all, search, changedOnly).map((one) => one.name);
  expect(names("")).toEqual(["gateway.limit", "log.level", "edge.size"]);
  expect(names("LIMIT many")).toEqual(["gateway.limit"]);
  expect(names("debug")).toEqual(["log.level"]);
  expect(names("zone b")).toEqual(["edge.size"]);
  expect(names("nothing like it")).toEqual([]);
  expect(names("", true)).toEqual(["log.level", "edge.size"]);
});

test("a time of another day says which", () => {
  const now = new Date("2026-11-25T12:00:00");
  expect(timeWords("2026-11-25T09:05:07", now)).toBe("09:05:07");
  expect(timeWords("2026-11-24T09:05:07", now)).toBe("24 Nov 2026 09:05:07");
});
