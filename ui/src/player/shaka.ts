/**
 * Shaka Player's core, loaded when a player opens: the DASH build where the browser has Media Source Extensions,
 * the HLS build (which hands the address to the browser) where it has not.
 */
import type dash from "shaka-player/dist/shaka-player.dash-es2021.js";

export type Shaka = typeof dash;
export type ShakaPlayer = dash.Player;
export type ShakaError = dash.util.Error;

export interface Loaded {
  shaka: Shaka;
  /** Which of a play's manifests to load. */
  format: "dash" | "hls";
}

let loaded: Promise<Loaded> | null = null;

async function load(): Promise<Loaded> {
  const hasMse = "MediaSource" in window || "ManagedMediaSource" in window;
  const module = hasMse
    ? await import("shaka-player/dist/shaka-player.dash-es2021.js")
    : ((await import("shaka-player/dist/shaka-player.hls-es2021.js")) as unknown as { default: Shaka });
  const shaka = module.default;
  shaka.polyfill.installAll();
  return { shaka, format: hasMse ? "dash" : "hls" };
}

/** Load Shaka once; a failed load (no network) is tried again by the next call. */
export function loadShaka(): Promise<Loaded> {
  loaded ??= load().catch((error: unknown) => {
    loaded = null;
    throw error;
  });
  return loaded;
}

/**
 * Settings of the player. Media are asked for until they come: a region that is away comes back, and Shaka cannot be
 * told to go on after some of its requests (a rung's index) have failed. The pause between attempts does not grow.
 */
export const configuration = {
  streaming: {
    bufferingGoal: 40,
    rebufferingGoal: 0.5,
    bufferBehind: 60,
    // A failed request says nothing about a rung, so no rung is put aside for it.
    maxDisabledTime: 0,
    retryParameters: {
      maxAttempts: Infinity,
      baseDelay: 900,
      backoffFactor: 1,
      fuzzFactor: 0.5,
      timeout: 60_000,
      stallTimeout: 8_000,
      connectionTimeout: 8_000,
    },
  },
  manifest: {
    retryParameters: {
      maxAttempts: 2,
      baseDelay: 250,
      backoffFactor: 2,
      fuzzFactor: 0.3,
      timeout: 20_000,
      stallTimeout: 8_000,
      connectionTimeout: 8_000,
    },
  },
  abr: {
    defaultBandwidthEstimate: 3_000_000,
    restrictToElementSize: true,
    switchInterval: 4,
  },
};
