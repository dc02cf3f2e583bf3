/** The choices of the quality menu, from the video tracks that the player found. */

export interface TrackFacts {
  height: number | null;
  width: number | null;
  bandwidth: number;
  active: boolean;
}

export interface Rung<T extends TrackFacts = TrackFacts> {
  /** "720p", by the shorter side, as people call a picture whichever way it is turned. */
  name: string;
  height: number;
  active: boolean;
  track: T;
}

/** One choice for each size, the best track of that size, largest first. */
export function rungsOf<T extends TrackFacts>(tracks: readonly T[]): Rung<T>[] {
  const bySize = new Map<string, T>();
  for (const track of tracks) {
    const size = `${track.width ?? 0}x${track.height ?? 0}`;
    const known = bySize.get(size);
    if (!known || track.bandwidth > known.bandwidth) bySize.set(size, track);
  }
  const activeTrack = tracks.find((track) => track.active);
  return [...bySize.values()]
    .sort((a, b) => (b.height ?? 0) - (a.height ?? 0) || b.bandwidth - a.bandwidth)
    .map((track) => ({
      name: `${Math.min(track.height ?? 0, track.width ?? Infinity)}p`,
      height: track.height ?? 0,
      active: activeTrack?.height === track.height && activeTrack.width === track.width,
      track,
    }));
}
