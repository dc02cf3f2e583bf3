import { describe, expect, test } from "vitest";

import { pauseMs } from "../src/player/backoff";
import { failureSentence, remedyFor } from "../src/player/failures";
import { actionOf } from "../src/player/keys";
import { previewOf } from "../src/player/preview";
import { rungsOf } from "../src/player/rungs";
import { tokenIn, withToken } from "../src/player/tokens";

describe("tokens", () => {
  const media = "http://127.0.0.1:8081/m/abc.k1.sig/ast_1/2/video-720p";
  const manifest = "http://127.0.0.1:8080/v1/manifests/abc.k1.sig/ast_1/2/dash.mpd";

  test("are found in both kinds of address", () => {
    expect([media, manifest].map(tokenIn)).toEqual(["abc.k1.sig", "abc.k1.sig"]);
    expect(tokenIn("http://127.0.0.1:8080/v1/titles/ttl_1")).toBe("");
  });

  test("are replaced and nothing else is", () => {
    expect(withToken(media, "new.k2.sig")).toBe("http://127.0.0.1:8081/m/new.k2.sig/ast_1/2/video-720p");
    expect(withToken(manifest, "$&")).toBe("http://127.0.0.1:8080/v1/manifests/$&/ast_1/2/dash.mpd");
    expect(withToken(media, "")).toBe(media);
    expect(withToken("blob:http://127.0.0.1/1-2", "new")).toBe("blob:http://127.0.0.1/1-2");
  });
});

test("a picture is cut out of its sheet, whatever its address holds", () => {
  expect(previewOf({ positionX: 240, positionY: 136, width: 240, height: 136 }, 'http://e/m/t"x/thumbnails-1.jpg')).toEqual({
    width: 240,
    height: 136,
    background: 'url("http://e/m/t\\"x/thumbnails-1.jpg") -240px -136px no-repeat',
  });
});

test("pauses grow to three seconds and no further", () => {
  expect([0, 1, 2, 3, 4, 500].map(pauseMs)).toEqual([300, 600, 1200, 2400, 3000, 3000]);
});

describe("failures", () => {
  const network = (code: number, ...data: unknown[]) => ({ category: 1, code, data });

  test("of the network are repeated, refused tokens renewed, lost versions restarted", () => {
    expect(remedyFor(network(1002))).toBe("retry");
    expect(remedyFor(network(1003))).toBe("retry");
    expect(remedyFor(network(1001, "/m/x", 503))).toBe("retry");
    expect(remedyFor(network(1001, "/m/x", 403))).toBe("renew");
    expect(remedyFor(network(1006))).toBe("renew");
    expect(remedyFor(network(1001, "/m/x", 404))).toBe("restart");
    expect(remedyFor(network(1001, "/m/x", 410))).toBe("restart");
  });

  test("of decoding are said in a sentence", () => {
    expect(remedyFor({ category: 3, code: 3016, data: [] })).toBe("give-up");
    expect(failureSentence({ category: 3, code: 3016, data: [] })).toContain("cannot decode");
    expect(failureSentence(new Error("There is no such title."))).toBe("There is no such title.");
  });
});

test("the quality menu has one choice for each size, largest first", () => {
  const track = (width: number, height: number, bandwidth: number, active = false) => ({ width, height, bandwidth, active });
  const rungs = rungsOf([track(640, 360, 5e5), track(1280, 720, 2e6, true), track(1280, 720, 1e6), track(1080, 1920, 4e6)]);
  expect(rungs.map(({ name, active, track: { bandwidth } }) => [name, active, bandwidth])).toEqual([
    ["1080p", false, 4e6],
    ["720p", true, 2e6],
    ["360p", false, 5e5],
  ]);
});

describe("keys", () => {
  const press = (key: string, ctrlKey = false) => actionOf({ key, ctrlKey, altKey: false, metaKey: false });

  test("do what their list says", () => {
    expect(press(" ")).toEqual({ do: "toggle-play" });
    expect(press("K")).toEqual({ do: "toggle-play" });
    expect(press("j")).toEqual({ do: "seek-by", seconds: -10 });
    expect(press("7")).toEqual({ do: "seek-to", share: 0.7 });
    expect(press("?")).toEqual({ do: "help" });
    expect(press("Escape")).toEqual({ do: "leave" });
  });

  test("of the browser stay the browser's", () => {
    expect(press("f", true)).toBeNull();
    expect(press("Tab")).toBeNull();
    expect(press("c")).toBeNull();
  });
});
