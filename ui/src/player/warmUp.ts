/** Loads the player's code while nobody waits for it, so that a click on Play shows a film and not a download. */
import { useEffect } from "react";

export function useWarmPlayer(): void {
  useEffect(() => {
    const load = () => {
      void Promise.all([import("./WatchPage"), import("./shaka").then(({ loadShaka }) => loadShaka())]).catch(
        // It is only a convenience; the player itself tries again and says so.
        () => undefined,
      );
    };
    const timer = setTimeout(load, 400);
    return () => clearTimeout(timer);
  }, []);
}
