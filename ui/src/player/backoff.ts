/** How long to wait before attempt `attempt` (from 0) at something that will work again: 0.3 s doubling to 3 s. */
export function pauseMs(attempt: number): number {
  return Math.min(3000, 300 * 2 ** Math.min(attempt, 10));
}

/** Wait, but not longer than until the browser has its network back; rejects when the signal aborts. */
export function pause(attempt: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (then: () => void) => () => {
      clearTimeout(timer);
      removeEventListener("online", go);
      signal.removeEventListener("abort", stop);
      then();
    };
    const go = done(resolve);
    const stop = done(() => reject(new DOMException("The player was closed.", "AbortError")));
    const timer = setTimeout(go, pauseMs(attempt));
    addEventListener("online", go);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
}
