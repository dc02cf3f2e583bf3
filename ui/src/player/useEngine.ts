import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";

import { sessionQuery } from "../api/queries";
import { Engine, idle, type EngineState } from "./engine";

const noSubscription = () => () => undefined;
const idleSnapshot = () => idle;

/** An engine for this video and title, closed when either changes or the page is left. */
export function useEngine(video: HTMLVideoElement | null, titleId: string): [Engine | null, EngineState] {
  const client = useQueryClient();
  const [engine, setEngine] = useState<Engine | null>(null);

  useEffect(() => {
    if (!video) return undefined;
    const signedOut = () => void client.invalidateQueries({ queryKey: sessionQuery.queryKey });
    const created = new Engine(video, titleId, signedOut);
    setEngine(created);
    void created.start();
    return () => {
      setEngine(null);
      void created.close();
    };
  }, [video, titleId, client]);

  return [engine, useSyncExternalStore(engine?.subscribe ?? noSubscription, engine?.snapshot ?? idleSnapshot)];
}
