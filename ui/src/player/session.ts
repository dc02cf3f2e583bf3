/**
 * A play as the region knows it: started once, renewed at two thirds of its token's lifetime and whenever the
 * edge refuses the token, and replaced when the region no longer knows it.
 */
import { ApiError, isTransient, request } from "../api/request";
import type { Play } from "../api/types";
import { pause } from "./backoff";
import { tokenIn, withToken } from "./tokens";

/** The play is over for the region (withdrawn, collected, too old): only a new one helps. */
export class PlayGone extends Error {
  override readonly name = "PlayGone";
}

/** Ask until there is an answer; `waiting` hears of each time that there was none. */
async function persistently<T>(ask: () => Promise<T>, signal: AbortSignal, waiting: () => void): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isTransient(error)) throw error;
      waiting();
      await pause(attempt, signal);
    }
  }
}

export class PlaySession {
  private token: string;
  private expiresAt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private renewal: Promise<void> | null = null;

  private constructor(
    private play: Play,
    private readonly signal: AbortSignal,
    private readonly waiting: () => void,
  ) {
    this.token = "";
    this.take(play);
    signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /** Start a play of a title. Throws ApiError when the region says no, AbortError when the player is closed. */
  static async start(titleId: string, signal: AbortSignal, waiting: () => void): Promise<PlaySession> {
    // The key makes a repeated request safe: an answer lost on the way is given again, not played twice.
    const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const ask = () =>
      request<Play>("/v1/plays", { method: "POST", body: { title_id: titleId }, idempotencyKey: key, signal });
    return new PlaySession(await persistently(ask, signal, waiting), signal, waiting);
  }

  get manifest(): Play["manifest"] {
    return this.play.manifest;
  }

  get version(): number {
    return this.play.version;
  }

  /** Put today's token into an address of this play. */
  address(uri: string): string {
    return withToken(uri, this.token);
  }

  /** Resolves when the token is good for use; renews first when it has run out while nobody looked. */
  async ready(): Promise<void> {
    if (Date.now() >= this.expiresAt) await this.renew();
  }

  /** Get a new token for the same version. Throws PlayGone when the region does not know this play any more. */
  renew(): Promise<void> {
    this.renewal ??= this.renewOnce().finally(() => {
      this.renewal = null;
    });
    return this.renewal;
  }

  private async renewOnce(): Promise<void> {
    const path = `/v1/plays/${encodeURIComponent(this.play.play_id)}/renew`;
    try {
      this.take(await persistently(() => request<Play>(path, { method: "POST", signal: this.signal }), this.signal, this.waiting));
    } catch (error) {
      if (error instanceof ApiError && [403, 404, 410].includes(error.status)) throw new PlayGone(error.message);
      throw error;
    }
  }

  private take(play: Play): void {
    this.play = play;
    this.token = tokenIn(play.manifest.dash);
    // The server's clock and ours may differ: the lifetime is what counts, and it is 3/2 of the time to renewal.
    this.expiresAt = Date.now() + play.renew_after_seconds * 1500;
    clearTimeout(this.timer);
    if (this.signal.aborted) return;
    this.timer = setTimeout(() => void this.renew().catch(() => undefined), play.renew_after_seconds * 1000);
  }
}
