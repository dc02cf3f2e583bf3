import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { inviteViewer } from "../api/actions";
import { Fault } from "../parts/Fault";
import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import fields from "../parts/field.module.css";
import styles from "./invite.module.css";

/** Makes a link that lets one person in as a viewer. */
export function Invite() {
  const inviting = useMutation({ mutationFn: inviteViewer });
  const [copied, setCopied] = useState(false);
  const link = inviting.data ? new URL(inviting.data.path, location.origin).href : "";
  const invite = () => {
    setCopied(false);
    inviting.mutate();
  };
  const copy = () => {
    // The clipboard is closed to pages without TLS; the field is there to copy from by hand.
    void navigator.clipboard.writeText(link).then(() => setCopied(true), () => undefined);
  };
  return (
    <section aria-labelledby="invite-heading" className={styles.invite}>
      <h2 id="invite-heading">Invite a viewer</h2>
      <p className={styles.hint}>The link lets one person in, once, within a day.</p>
      <Fault error={inviting.error} />
      {inviting.data && (
        <div className={styles.link}>
          <label className="unseen" htmlFor="invite-link">
            Invitation link
          </label>
          <input
            id="invite-link"
            className={fields.input}
            readOnly
            value={link}
            data-testid="invite-link"
            onFocus={(event) => event.currentTarget.select()}
          />
          {window.isSecureContext && (
            <button type="button" className={buttons.icon} aria-label="Copy the link" onClick={copy}>
              <Icon name={copied ? "check" : "copy"} />
            </button>
          )}
        </div>
      )}
      <p role="status" className="unseen">
        {copied ? "Copied" : ""}
      </p>
      <button
        type="button"
        className={buttons.button}
        onClick={invite}
        disabled={inviting.isPending}
        data-testid="invite-button"
      >
        {inviting.data ? "Make another link" : "Make a link"}
      </button>
    </section>
  );
}
