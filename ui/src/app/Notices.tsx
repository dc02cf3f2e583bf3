/** What concerns the whole app: no network, a region that does not answer, a page without TLS, a new title. */
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import styles from "./notices.module.css";
import type { NewTitle } from "./useNews";
import { useOnline } from "./useOnline";

const DISMISSED = "kinema.insecure-notice-dismissed";

function InsecureNotice() {
  const [shown, setShown] = useState(() => !window.isSecureContext && sessionStorage.getItem(DISMISSED) === null);
  if (!shown) return null;
  const dismiss = () => {
    sessionStorage.setItem(DISMISSED, "1");
    setShown(false);
  };
  return (
    <aside className={styles.insecure} aria-label="About this connection" data-testid="insecure-notice">
      <p>
        This page came without encryption. Films play, but protected films (EME), passkeys and installing Kinema as an
        app will not work until it is served over HTTPS: start the region with <code>--host NAME --tls auto</code>.
      </p>
      <button type="button" className={buttons.icon} onClick={dismiss} aria-label="Dismiss this notice">
        <Icon name="close" />
      </button>
    </aside>
  );
}

interface TitleNoticeProps {
  title: NewTitle;
  onDismiss: (titleId: string) => void;
}

function TitleNotice({ title: { titleId, title }, onDismiss }: TitleNoticeProps) {
  const dismiss = () => onDismiss(titleId);
  return (
    <p className={styles.news} data-testid="title-notice" data-title-id={titleId}>
      <span>
        New:{" "}
        <Link to="/titles/$titleId" params={{ titleId }} onClick={dismiss}>
          {title}
        </Link>
      </span>
      <button type="button" className={buttons.icon} onClick={dismiss} aria-label={`Dismiss the notice of ${title}`}>
        <Icon name="close" />
      </button>
    </p>
  );
}

interface NoticesProps {
  reachable: boolean;
  /** Over a film only what concerns the film is said. */
  watching: boolean;
  titles: NewTitle[];
  onDismiss: (titleId: string) => void;
}

export function Notices({ reachable, watching, titles, onDismiss }: NoticesProps) {
  const online = useOnline();
  let text = "";
  if (!online) text = "You are offline. Kinema will carry on when the connection is back.";
  else if (!reachable && !watching) text = "Reconnecting to Kinema…";
  return (
    <>
      {!watching && <InsecureNotice />}
      <div role="status" className={styles.status} data-testid="connection-notice">
        {text !== "" && (
          <p className={styles.link}>
            <span className={styles.pulse} aria-hidden="true" />
            {text}
          </p>
        )}
        {!watching && titles.map((title) => <TitleNotice key={title.titleId} title={title} onDismiss={onDismiss} />)}
      </div>
    </>
  );
}
