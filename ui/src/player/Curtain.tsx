import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import styles from "./curtain.module.css";
import type { EngineState } from "./engine";
import type { MediaState } from "./useMedia";

interface CurtainProps {
  engine: EngineState;
  media: MediaState;
  onPlay: () => void;
  onRetry: () => void;
  onBack: () => void;
}

/** What stands in front of the film: it is coming, the connection is being restored, it failed, or it waits for a click. */
export function Curtain({ engine, media, onPlay, onRetry, onBack }: CurtainProps) {
  if (engine.phase === "failed") {
    return (
      <div className={styles.curtain}>
        <div className={styles.failure} role="alert" data-testid="player-error">
          <h2 className={styles.title}>The film stopped</h2>
          <p>{engine.failure}</p>
          <div className={styles.actions}>
            <button type="button" className={buttons.main} onClick={onRetry} data-testid="player-retry">
              <Icon name="retry" />
              Try again
            </button>
            <button type="button" className={buttons.button} onClick={onBack}>
              Back
            </button>
          </div>
        </div>
      </div>
    );
  }
  const busy = engine.phase === "starting" || media.waiting;
  const standing = engine.phase === "playing" && media.paused && media.time === 0 && !media.ended;
  let announcement = "";
  if (engine.reconnecting) announcement = "Reconnecting…";
  else if (busy) announcement = "Loading the film";
  return (
    <div className={styles.curtain} data-passing>
      {busy && <span className={styles.spinner} aria-hidden="true" />}
      {standing && (
        <button type="button" className={styles.big} aria-label="Play the film" onClick={onPlay} data-testid="big-play">
          <Icon name="play" size={44} />
        </button>
      )}
      <div role="status" className={styles.status} data-testid="player-status">
        {engine.reconnecting ? <span className={styles.notice}>{announcement}</span> : <span className="unseen">{announcement}</span>}
      </div>
    </div>
  );
}
