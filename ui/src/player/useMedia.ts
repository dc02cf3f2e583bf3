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
};

function read(video: HTMLVideoElement): MediaState {
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
    // Shaka holds a film that has run dry by playing it at speed 0.
    rate: video.playbackRate > 0 ? video.playbackRate : 1,
    height: video.videoHeight,
  };
}

/** Follow a video. */
export function useMedia(video: HTMLVideoElement | null): MediaState {
  const [state, setState] = useState(nothing);

  useEffect(() => {
    if (!video) return undefined;
    const onEvent = () => setState(read(video));
    for (const name of EVENTS) video.addEventListener(name, onEvent);
    return () => {
      for (const name of EVENTS) video.removeEventListener(name, onEvent);
    };
  }, [video]);

  return state;
}
