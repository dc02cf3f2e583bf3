import { useMemo } from "react";

import { clockTime } from "../format";
import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import { ChoiceMenu, type Choice } from "./ChoiceMenu";
import styles from "./controls.module.css";
import type { Deck } from "./deck";
import type { EngineState } from "./engine";
import { SeekBar } from "./SeekBar";
import type { MediaState } from "./useMedia";
import { Volume } from "./Volume";

const AUTO = "auto";
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

interface ControlsProps {
  deck: Deck;
  media: MediaState;
  engine: EngineState;
  fullScreen: boolean;
  onMenuOpen: (open: boolean) => void;
  onHelp: () => void;
}

/** The bar under the film. */
export function Controls({ deck, media, engine, fullScreen, onMenuOpen, onHelp }: ControlsProps) {
  const { rungs, automatic } = engine;
  const active = rungs.find((rung) => rung.active);
  const qualities = useMemo<Choice[]>(() => {
    const auto: Choice = { id: AUTO, label: "Auto" };
    if (automatic && active) auto.note = active.name;
    return [auto, ...rungs.map((rung): Choice => ({ id: rung.name, label: rung.name }))];
  }, [rungs, automatic, active]);
  const speeds = SPEEDS.map((speed): Choice => ({ id: String(speed), label: speed === 1 ? "Normal" : `${speed} ×` }));

  return (
    <div className={styles.controls} role="group" aria-label="Player controls">
      <SeekBar media={media} onSeek={(seconds) => deck.seekTo(seconds)} findPreview={deck.previewAt} />
      <div className={styles.buttons}>
        <button
          type="button"
          className={buttons.icon}
          aria-label={media.paused ? "Play" : "Pause"}
          onClick={() => deck.togglePlay()}
          data-testid="play-pause"
        >
          <Icon name={media.paused ? "play" : "pause"} size={26} />
        </button>
        <Volume
          volume={media.volume}
          muted={media.muted}
          onVolume={(volume) => deck.setVolume(volume)}
          onMute={() => deck.toggleMute()}
        />
        <span className={styles.time} data-testid="time">
          {clockTime(media.time)} <span className={styles.total}>/ {clockTime(Math.round(media.duration))}</span>
        </span>
        <span className={styles.gap} />
        <ChoiceMenu
          name="Speed"
          icon="speed"
          testId="speed"
          choices={speeds}
          current={String(media.rate)}
          onChoose={(id) => deck.setRate(Number(id))}
          onOpenChange={onMenuOpen}
        />
        {rungs.length > 0 && (
          <ChoiceMenu
            name="Quality"
            icon="quality"
            testId="quality"
            choices={qualities}
            current={automatic ? AUTO : (active?.name ?? AUTO)}
            onChoose={(id) => deck.chooseRung(id)}
            onOpenChange={onMenuOpen}
          />
        )}
        <button
          type="button"
          className={`${buttons.icon ?? ""} ${styles.optional ?? ""}`}
          aria-label="Keys of the player"
          onClick={onHelp}
          data-testid="help-button"
        >
          <Icon name="keys" />
        </button>
        {document.pictureInPictureEnabled && (
          <button
            type="button"
            className={`${buttons.icon ?? ""} ${styles.optional ?? ""}`}
            aria-label="Picture in picture"
            onClick={() => deck.togglePictureInPicture()}
            data-testid="pip-button"
          >
            <Icon name="window" />
          </button>
        )}
        <button
          type="button"
          className={buttons.icon}
          aria-label={fullScreen ? "Leave full screen" : "Full screen"}
          onClick={() => deck.toggleFullScreen()}
          data-testid="fullscreen-button"
        >
          <Icon name={fullScreen ? "small" : "full"} />
        </button>
      </div>
    </div>
  );
}
