import type { SubmitEvent } from "react";

import { bytes, percent, timeLeft } from "../format";
import { Field } from "../parts/Field";
import { Meter } from "../parts/Meter";
import buttons from "../parts/button.module.css";
import styles from "./upload.module.css";
import type { UploadView } from "./upload";
import { dismiss, findUpload } from "./uploads";

const words: Record<UploadView["state"], string> = {
  chosen: "Ready to upload",
  uploading: "Uploading",
  reconnecting: "Reconnecting…",
  paused: "Paused",
  done: "Uploaded; it is being made ready below",
  failed: "Failed",
};

export function UploadRow({ upload }: { upload: UploadView }) {
  return (
    <li className={styles.row} data-testid="upload-row" data-state={upload.state} data-title-id={upload.titleId}>
      {upload.state === "chosen" ? <Chosen upload={upload} /> : <Going upload={upload} />}
    </li>
  );
}

function Chosen({ upload }: { upload: UploadView }) {
  const start = (event: SubmitEvent) => {
    event.preventDefault();
    void findUpload(upload.id)?.start();
  };
  return (
    <form className={styles.chosen} onSubmit={start}>
      <Field
        label="Title"
        value={upload.title}
        required
        maxLength={300}
        hint={`${upload.fileName} · ${bytes(upload.size)}`}
        data-testid="upload-title"
        onChange={(event) => findUpload(upload.id)?.rename(event.currentTarget.value)}
      />
      <div className={styles.actions}>
        <button type="submit" className={buttons.main} data-testid="upload-start">
          Upload
        </button>
        <button type="button" className={buttons.quiet} onClick={() => dismiss(upload.id)}>
          Remove
        </button>
      </div>
    </form>
  );
}

function Going({ upload }: { upload: UploadView }) {
  const { state, sent, size, rate } = upload;
  const moving = state === "uploading" || state === "reconnecting";
  const facts = [
    words[state],
    state === "done" || state === "failed" ? "" : `${bytes(sent)} of ${bytes(size)}`,
    rate > 0 ? `${bytes(rate)}/s` : "",
    rate > 0 ? timeLeft((size - sent) / rate) : "",
  ].filter(Boolean);
  const share = size > 0 ? sent / size : 0;
  return (
    <div className={styles.going}>
      <p className={styles.name}>{upload.title}</p>
      <p className={styles.percent}>{state === "failed" ? "" : percent(share)}</p>
      <Meter label={`${upload.title}: uploaded`} value={share} />
      <p className={styles.facts} data-testid="upload-state">
        {facts.join(" · ")}
      </p>
      {state === "failed" && (
        <p className={styles.failure} role="alert" data-testid="upload-error">
          {upload.failure}
        </p>
      )}
      <div className={styles.actions}>
        {moving && (
          <button
            type="button"
            className={buttons.button}
            onClick={() => void findUpload(upload.id)?.pause()}
            data-testid="upload-pause"
          >
            Pause
          </button>
        )}
        {(state === "paused" || state === "failed") && (
          <button
            type="button"
            className={buttons.main}
            onClick={() => void findUpload(upload.id)?.start()}
            data-testid="upload-resume"
          >
            {state === "paused" ? "Go on" : "Try again"}
          </button>
        )}
        <button
          type="button"
          className={buttons.quiet}
          onClick={() => dismiss(upload.id)}
          data-testid={state === "done" ? "upload-dismiss" : "upload-cancel"}
        >
          {state === "done" || state === "failed" ? "Dismiss" : "Cancel"}
        </button>
      </div>
    </div>
  );
}
