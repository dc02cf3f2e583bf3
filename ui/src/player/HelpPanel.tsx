import { useEffect, useRef } from "react";

import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import styles from "./help.module.css";
import { keyHelp } from "./keys";

/** The keys of the player, as a modal dialog. */
export function HelpPanel({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} className={styles.panel} aria-labelledby="help-title" onClose={onClose} data-testid="help-panel">
      <header className={styles.header}>
        <h2 id="help-title">Keys</h2>
        <button type="button" className={buttons.icon} aria-label="Close" onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
      </header>
      <dl className={styles.keys}>
        {keyHelp.map(([key, what]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
