import { describe, expect, test } from "vitest";

import { bitrate, bytes, clockTime, codecName, duration, percent, rungName, stepName, timeLeft } from "../src/format";

test("a clock shows hours only when there are some", () => {
  expect([0, 9.9, 75, 3599, 3600, 7384].map(clockTime)).toEqual(["0:00", "0:09", "1:15", "59:59", "1:00:00", "2:03:04"]);
  expect(clockTime(Number.NaN)).toBe("0:00");
});

test("a duration is said as briefly as it can be", () => {
  expect([48.2, 60, 75, 725, 3600, 5400].map(duration)).toEqual(["48 s", "1 min", "1 min 15 s", "12 min", "1 h", "1 h 30 min"]);
});

describe("what is left", () => {
  test("is rounded so that it does not twitch", () => {
    expect([0.4, 7, 42, 61, 130].map(timeLeft)).toEqual([
      "about 5 s left",
      "about 10 s left",
      "about 45 s left",
      "about 2 min left",
      "about 3 min left",
    ]);
  });

  test("is not said when nobody knows", () => {
    expect([null, undefined, Infinity].map(timeLeft)).toEqual(["", "", ""]);
  });
});

test("a share is never 100 % before it is whole", () => {
  expect([0, 0.429, 0.9999, 1, 1.2].map(percent)).toEqual(["0 %", "42 %", "99 %", "100 %", "100 %"]);
});

test("sizes and rates have one decimal while that says something", () => {
  expect([999, 1536, 25_200_000, 250_000_000].map(bytes)).toEqual(["999 B", "1.5 kB", "25.2 MB", "250 MB"]);
  expect([480_000, 2_400_000].map(bitrate)).toEqual(["480 kbit/s", "2.4 Mbit/s"]);
});

test("codecs have the names that people know", () => {
  expect(["avc1.64001f", "av01.0.08M.08", "xyz1.2"].map(codecName)).toEqual(["H.264", "AV1", "xyz1.2"]);
});

test("tracks and steps are said without their technical part", () => {
  expect(["video-360p", "720p"].map(rungName)).toEqual(["360p", "720p"]);
  expect(["encoding video-360p", "inspecting", ""].map(stepName)).toEqual(["Encoding 360p", "Inspecting", ""]);
});
