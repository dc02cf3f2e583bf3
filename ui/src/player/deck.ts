/** Everything that buttons and keys can do to the film. */
import type { Engine } from "./engine";
import type { Action } from "./keys";
import type { Preview } from "./preview";

const VOLUME_KEY = "kinema.volume";

export class Deck {
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly area: HTMLElement,
    private readonly engine: Engine | null,
  ) {}

  /** Set the volume of the last film. */
  recallVolume(): void {
    const kept = Number(localStorage.getItem(VOLUME_KEY) ?? "1");
    this.video.volume = Number.isFinite(kept) ? Math.min(1, Math.max(0, kept)) : 1;
  }

  togglePlay(): void {
    if (!this.video.paused) this.video.pause();
    else if (this.engine) void this.engine.play();
  }

  seekTo(seconds: number): void {
    const end = Number.isFinite(this.video.duration) ? this.video.duration : 0;
    this.video.currentTime = Math.min(end, Math.max(0, seconds));
  }

  readonly previewAt = async (seconds: number): Promise<Preview | null> => (await this.engine?.previewAt(seconds)) ?? null;

  setVolume(volume: number): void {
    this.video.volume = Math.min(1, Math.max(0, volume));
    this.video.muted = this.video.volume === 0;
    localStorage.setItem(VOLUME_KEY, String(this.video.volume));
  }

  toggleMute(): void {
    if (this.video.muted || this.video.volume === 0) {
      this.video.muted = false;
      if (this.video.volume === 0) this.video.volume = 0.5;
    } else this.video.muted = true;
  }

  setRate(rate: number): void {
    this.video.playbackRate = rate;
  }

  chooseRung(name: string): void {
    const rungs = this.engine?.snapshot().rungs ?? [];
    this.engine?.choose(rungs.find((rung) => rung.name === name) ?? null);
  }

  toggleFullScreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => undefined);
    else void this.area.requestFullscreen().catch(() => undefined);
  }

  togglePictureInPicture(): void {
    if (document.pictureInPictureElement) void document.exitPictureInPicture().catch(() => undefined);
    else void this.video.requestPictureInPicture().catch(() => undefined);
  }

  /** Carry out an action of the keyboard; what concerns the page (help, leaving) is not the deck's. */
  perform(action: Action): void {
    const { video } = this;
    if (action.do === "toggle-play") this.togglePlay();
    if (action.do === "seek-by") this.seekTo(video.currentTime + action.seconds);
    if (action.do === "seek-to") this.seekTo(video.duration * action.share);
    if (action.do === "volume-by") this.setVolume(Math.round((video.volume + action.step) * 100) / 100);
    if (action.do === "mute") this.toggleMute();
    if (action.do === "full-screen") this.toggleFullScreen();
  }
}
