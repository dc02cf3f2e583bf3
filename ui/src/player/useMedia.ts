/** The state of a <video> as React sees it. */
import { useEffect, useState } from "react";

export interface Range {
  start: number;
  end: number;
}

export interface MediaState {
  time: number;
  duration: number;
  buffered: Range[];
  paused: boolean;
  ended: boolean;
  /** The film should run but has nothing to show. */
  waiting: boolean;
  volume: number;
  muted: boolean;
  rate: number;
  height: number;
  /** How often a running film ran dry, seeks not counted. */
  stalls: number;
}

const EVENTS = [
  "timeupdate",
  "durationchange",
  "progress",
  "play",
  "pause",
  "ended",
  "seeking",
  "seeked",
  "waiting",
  "playing",
  "canplay",
  "volumechange",
  "ratechange",
  "resize",
  "emptied",
  "loadedmetadata",
];

const nothing: MediaState = {
  time: 0,
  duration: 0,
  buffered: [],
  paused: true,
  ended: false,
  waiting: false,
  volume: 1,
  muted: false,
  rate: 1,
  height: 0,
  stalls: 0,
};

function read(video: HTMLVideoElement, stalls: number): MediaState {
  const buffered: Range[] = [];
  for (let at = 0; at < video.buffered.length; at += 1) {
    buffered.push({ start: video.buffered.start(at), end: video.buffered.end(at) });
  }
  return {
    time: video.currentTime,
    duration: Number.isFinite(video.duration) ? video.duration : 0,
    buffered,
    paused: video.paused,
    ended: video.ended,
    waiting: !video.paused && !video.ended && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA,
    volume: video.volume,
    muted: video.muted || video.volume === 0,
    rate: video.playbackRate,
    height: video.videoHeight,
    stalls,
  };
}

/** Follow a video. Stalls count only after a picture has been shown, and not while somebody seeks. */
export function useMedia(video: HTMLVideoElement | null): MediaState {
  const [state, setState] = useState(nothing);

  useEffect(() => {
    if (!video) return undefined;
    let stalls = 0;
    let shown = false;
    const onEvent = (event: Event) => {
      if (event.type === "emptied" || event.type === "seeking") shown = false;
      if (event.type === "timeupdate" && !video.seeking && video.currentTime > 0) shown = true;
      const runDry = event.type === "waiting" && shown && !video.seeking && !video.ended;
      if (runDry) {
        stalls += 1;
        shown = false;
      }
      setState(read(video, stalls));
    };
    for (const name of EVENTS) video.addEventListener(name, onEvent);
    return () => {
      for (const name of EVENTS) video.removeEventListener(name, onEvent);
    };
  }, [video]);

  return state;
}
