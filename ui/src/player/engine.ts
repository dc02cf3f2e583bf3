/**
 * Plays one title on one <video>: starts the play, feeds Shaka, and does not give up.
 *
 * A film goes on when a process of the region is killed, when the network is gone and when the whole region was
 * down for a while: requests are asked again until they work, a refused token is renewed, and a play that the
 * region no longer knows is started anew at the same position. Only what no repetition can help becomes a failure.
 */
import { ApiError, isTransient } from "../api/request";
import { pause, pauseMs } from "./backoff";
import { failureSentence, isShakaError, remedyFor } from "./failures";
import { previewOf, type Preview } from "./preview";
import { rungsOf, type Rung } from "./rungs";
import { PlayGone, PlaySession } from "./session";
import { Stalls } from "./stalls";
import { configuration, loadShaka, type Loaded, type ShakaError, type ShakaPlayer } from "./shaka";

export interface EngineState {
  phase: "starting" | "playing" | "failed";
  /** Set while the region does not answer. */
  reconnecting: boolean;
  failure: string;
  rungs: Rung[];
  /** Is the rung chosen by measurement? */
  automatic: boolean;
  /** How often the running film ran dry. */
  stalls: number;
}

export const idle: EngineState = {
  phase: "starting",
  reconnecting: false,
  failure: "",
  rungs: [],
  automatic: true,
  stalls: 0,
};

const QUALITY_MARGIN_SECONDS = 3;
const WATCH_MS = 2000;

export class Engine {
  private state = idle;
  private readonly listeners = new Set<() => void>();
  private readonly closing = new AbortController();
  private player: ShakaPlayer | null = null;
  private session: PlaySession | null = null;
  private failures = 0;
  private requests = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private restarting = false;
  private position = 0;
  private readonly stalls: Stalls;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly titleId: string,
    private readonly onSignedOut: () => void,
  ) {
    // A film that is being loaded anew says 0: where it stood is kept here.
    const keep = () => {
      if (video.readyState > 0) this.position = video.currentTime;
    };
    video.addEventListener("timeupdate", keep, { signal: this.closing.signal });
    video.addEventListener("seeking", keep, { signal: this.closing.signal });
    this.stalls = new Stalls(video, () => this.update({ stalls: this.stalls.count }), this.closing.signal);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): EngineState => this.state;

  /** Load the title and play from `position` (seconds). */
  async start(position = 0): Promise<void> {
    this.update({ phase: "starting", failure: "" });
    try {
      const loaded = await this.loadPlayer();
      await this.open(loaded, position);
      this.update({ phase: "playing", reconnecting: false });
      await this.play();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Begin again where the film stood. */
  async retry(): Promise<void> {
    await this.start(this.position);
  }

  /** Play; a browser that wants a gesture first leaves the film paused, with its play button. */
  async play(): Promise<void> {
    await this.video.play().catch(() => undefined);
  }

  /** The small picture for a moment of the film; null where there is none. */
  async previewAt(seconds: number): Promise<Preview | null> {
    const [track] = this.player?.getImageTracks() ?? [];
    const found = track ? await this.player?.getThumbnails(track.id, seconds) : null;
    const uri = found?.uris[0];
    return found && uri ? previewOf(found, this.session?.address(uri) ?? uri) : null;
  }

  /** Choose a rung, or let measurements choose (null). */
  choose(rung: Rung | null): void {
    const wanted = rung?.track;
    const track = this.player
      ?.getVideoTracks()
      .find((one) => one.height === wanted?.height && one.width === wanted.width && one.bandwidth === wanted.bandwidth);
    this.player?.configure({ abr: { enabled: rung === null } });
    if (track) this.player?.selectVideoTrack(track, true, QUALITY_MARGIN_SECONDS);
    this.update({ automatic: rung === null });
    this.readRungs();
  }

  async close(): Promise<void> {
    this.closing.abort();
    clearTimeout(this.timer);
    this.listeners.clear();
    await this.player?.destroy();
  }

  private async loadPlayer(): Promise<Loaded> {
    const loaded = await this.persistently(loadShaka);
    if (this.player) return loaded;
    const player = new loaded.shaka.Player();
    this.player = player;
    await player.attach(this.video);
    player.configure({
      ...configuration,
      streaming: { ...configuration.streaming, failureCallback: (error: ShakaError) => this.onFailure(error) },
    });
    player.addEventListener("error", (event) => this.onError((event as unknown as { detail: unknown }).detail));
    for (const name of ["trackschanged", "variantchanged", "adaptation"]) {
      player.addEventListener(name, () => this.readRungs());
    }
    player.addEventListener("buffering", (event) => {
      if ((event as unknown as { buffering: boolean }).buffering) this.stalls.ranDry();
    });
    const network = player.getNetworkingEngine();
    network?.addEventListener("retry", (event) => this.onRepeat(event));
    network?.registerRequestFilter(async (_type, request) => {
      this.requests += 1;
      await this.session?.ready();
      request.uris = request.uris.map((uri: string) => this.session?.address(uri) ?? uri);
    });
    network?.registerResponseFilter(() => this.onAnswer());
    return loaded;
  }

  /** Start a play and load its manifest, again and again while nobody answers. */
  private async open({ format }: Loaded, position: number): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      this.session = await PlaySession.start(this.titleId, this.closing.signal, () => this.update({ reconnecting: true }));
      try {
        await this.player?.load(this.session.manifest[format], position > 0 ? position : null);
        return;
      } catch (error) {
        if (!isShakaError(error) || remedyFor(error) === "give-up" || attempt > 200) throw error;
        if (remedyFor(error) === "ignore") return;
        this.update({ reconnecting: true });
        await pause(attempt, this.closing.signal);
      }
    }
  }

  private async persistently<T>(ask: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        if (attempt >= 60) throw error;
        this.update({ reconnecting: true });
        await pause(attempt, this.closing.signal);
      }
    }
  }

  /** Shaka is about to repeat a request; what a repetition cannot help is stopped and becomes a failure. */
  private onRepeat(event: Event): void {
    const error = (event as unknown as Map<string, unknown> & { error?: unknown }).error;
    if (isShakaError(error) && remedyFor(error) !== "retry") event.preventDefault();
    else this.update({ reconnecting: true });
  }

  /** A request of the running film failed for good, as far as Shaka is concerned. */
  private onFailure(error: ShakaError): void {
    const remedy = remedyFor(error);
    if (remedy === "restart") void this.restart();
    if (remedy === "renew") void this.renew();
    if (remedy === "retry") this.goOnSoon();
  }

  private onError(error: unknown): void {
    if (isShakaError(error) && (error.severity < 2 || remedyFor(error) !== "give-up")) return;
    this.fail(error);
  }

  private goOnSoon(): void {
    if (this.state.phase === "failed") return;
    this.update({ reconnecting: true });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.goOn(), pauseMs(this.failures));
    this.failures += 1;
  }

  /** Have Shaka go on after a failure; when it asks for nothing although the film stands still, load the film anew. */
  private goOn(): void {
    const before = this.requests;
    this.player?.retryStreaming(0);
    const watch = () => {
      if (this.requests > before) return;
      const starving = !this.video.paused && this.video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
      if (starving) void this.restart();
      else this.timer = setTimeout(watch, WATCH_MS);
    };
    clearTimeout(this.timer);
    this.timer = setTimeout(watch, WATCH_MS);
  }

  private async renew(): Promise<void> {
    try {
      await this.session?.renew();
      this.goOn();
    } catch (error) {
      if (error instanceof PlayGone) await this.restart();
      else this.fail(error);
    }
  }

  /** The play is over for the region: a new one, loaded where the old one stood. */
  private async restart(): Promise<void> {
    if (this.restarting) return;
    this.restarting = true;
    const paused = this.video.paused;
    try {
      this.update({ phase: "starting", reconnecting: true });
      await this.open(await this.loadPlayer(), this.position);
      this.update({ phase: "playing", reconnecting: false });
      if (!paused) await this.play();
    } catch (error) {
      this.fail(error);
    } finally {
      this.restarting = false;
    }
  }

  private onAnswer(): void {
    this.failures = 0;
    if (this.state.reconnecting) this.update({ reconnecting: false });
  }

  private readRungs(): void {
    this.update({ rungs: rungsOf(this.player?.getVideoTracks() ?? []) });
  }

  private fail(error: unknown): void {
    if (this.closing.signal.aborted || isTransient(error)) return;
    if (error instanceof ApiError && error.status === 401) this.onSignedOut();
    this.update({ phase: "failed", reconnecting: false, failure: failureSentence(error) });
  }

  private update(change: Partial<EngineState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}
