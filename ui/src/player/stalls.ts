/**
 * Counts how often a running film runs dry. The start and seeks do not count: people expect to wait there.
 *
 * Two witnesses are heard, because neither sees everything: the video's `waiting` event (also when the decoder is
 * late), and Shaka, which holds the film before the last frame so that `waiting` never comes.
 */
export class Stalls {
  count = 0;
  private shown = false;
  private dry = false;
  private lastTime = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly changed: () => void,
    signal: AbortSignal,
  ) {
    const forget = () => {
      this.shown = false;
    };
    video.addEventListener("seeking", forget, { signal });
    video.addEventListener("emptied", forget, { signal });
    video.addEventListener("waiting", () => this.ranDry(), { signal });
    video.addEventListener("timeupdate", () => this.moved(), { signal });
  }

  /** Shaka says that there is nothing more to show. */
  ranDry(): void {
    const { paused, ended, seeking } = this.video;
    if (!this.shown || this.dry || paused || ended || seeking) return;
    this.dry = true;
    this.count += 1;
    this.changed();
  }

  private moved(): void {
    const { currentTime, seeking } = this.video;
    if (seeking || currentTime === this.lastTime) return;
    this.lastTime = currentTime;
    this.shown = currentTime > 0;
    this.dry = false;
  }
}
