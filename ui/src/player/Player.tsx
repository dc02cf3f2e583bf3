/** The film and everything around it: the screen, the controls that step aside, the keys. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import type { Title } from "../api/types";
import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import { Controls } from "./Controls";
import { Curtain } from "./Curtain";
import { Deck } from "./deck";
import { HelpPanel } from "./HelpPanel";
import { actionOf } from "./keys";
import styles from "./player.module.css";
import { useEngine } from "./useEngine";
import { useIdle } from "./useIdle";
import { useMedia } from "./useMedia";

interface PlayerProps {
  titleId: string;
  title: Title | undefined;
  onBack: () => void;
}

function useFullScreen(): boolean {
  const [full, setFull] = useState(false);
  useEffect(() => {
    const changed = () => setFull(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", changed);
    return () => document.removeEventListener("fullscreenchange", changed);
  }, []);
  return full;
}

/** Buttons and sliders keep the keys that are theirs. */
function isTheirs(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("dialog, [role=menu]")) return true;
  return target.closest("button, a") !== null && (key === " " || key === "Enter");
}

export function Player({ titleId, title, onBack }: PlayerProps) {
  const [video, setVideo] = useState<HTMLVideoElement | null>(null);
  const [menuOpen, setMenuOpen] = useState(false);
  const [helpOpen, setHelpOpen] = useState(false);
  const [engine, state] = useEngine(video, titleId);
  const media = useMedia(video);
  const area = useRef<HTMLDivElement>(null);
  const idle = useIdle(area);
  const fullScreen = useFullScreen();

  const deck = useMemo(() => (video ? new Deck(video, video.parentElement ?? video, engine) : null), [video, engine]);

  useEffect(() => deck?.recallVolume(), [deck]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || isTheirs(event.target, event.key)) return;
      const action = actionOf(event);
      if (!action) return;
      event.preventDefault();
      if (action.do === "leave") {
        if (!document.fullscreenElement) onBack();
      } else if (action.do === "help") setHelpOpen(true);
      else deck?.perform(action);
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [deck, onBack]);

  const onMenuOpen = useCallback((open: boolean) => setMenuOpen(open), []);
  const away = idle && !media.paused && !menuOpen && !helpOpen && state.phase === "playing";
  const rung = state.rungs.find((one) => one.active);

  return (
    <div
      ref={area}
      className={styles.player}
      data-testid="player"
      data-own-keys
      data-away={away || undefined}
      data-phase={state.phase}
      data-reconnecting={state.reconnecting}
      data-stalls={state.stalls}
      data-height={media.height}
      data-rung={rung?.name}
    >
      {/* eslint-disable-next-line jsx-a11y/media-has-caption -- the region has no captions yet */}
      <video ref={setVideo} className={styles.screen} playsInline data-testid="player-video" />
      <button
        type="button"
        className={styles.glass}
        tabIndex={-1}
        aria-hidden="true"
        onClick={() => deck?.togglePlay()}
        onDoubleClick={() => deck?.toggleFullScreen()}
      />
      <Curtain
        engine={state}
        media={media}
        onPlay={() => deck?.togglePlay()}
        onRetry={() => void engine?.retry()}
        onBack={onBack}
      />
      <header className={styles.top}>
        <button type="button" className={buttons.icon} aria-label="Back" onClick={onBack} data-testid="player-back">
          <Icon name="back" size={26} />
        </button>
        <h1 className={styles.title}>{title?.title}</h1>
      </header>
      {deck && state.phase !== "failed" && (
        <div className={styles.bottom}>
          <Controls
            deck={deck}
            media={media}
            engine={state}
            fullScreen={fullScreen}
            onMenuOpen={onMenuOpen}
            onHelp={() => setHelpOpen(true)}
          />
        </div>
      )}
      {helpOpen && <HelpPanel onClose={() => setHelpOpen(false)} />}
    </div>
  );
}
