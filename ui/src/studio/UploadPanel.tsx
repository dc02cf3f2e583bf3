import { useRef, useState, type DragEvent } from "react";

import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import styles from "./upload.module.css";
import { UploadRow } from "./UploadRow";
import { addFiles, useUploads } from "./uploads";

/** Where films come in: a place to drop files, a button to choose them, and what is on its way. */
export function UploadPanel() {
  const uploads = useUploads();
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);

  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    addFiles(event.dataTransfer.files);
  };
  const onDragOver = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };

  return (
    <section aria-labelledby="upload-heading" className={styles.panel}>
      {/* Dropping is a shortcut for the button inside, which everybody can reach. */}
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions */}
      <div
        className={styles.zone}
        data-over={over || undefined}
        data-testid="drop-zone"
        onDrop={onDrop}
        onDragOver={onDragOver}
        onDragLeave={() => setOver(false)}
      >
        <Icon name="upload" size={34} />
        <h2 id="upload-heading" className={styles.heading}>
          Add a film
        </h2>
        <p className={styles.hint}>Drop video files here. An upload that breaks off goes on where it was.</p>
        <button type="button" className={buttons.main} onClick={() => input.current?.click()}>
          Choose files
        </button>
        <input
          ref={input}
          className="unseen"
          type="file"
          accept="video/*,.mkv,.mov,.ts,.m2ts,.mxf,.webm"
          multiple
          tabIndex={-1}
          aria-label="Video files"
          data-testid="upload-input"
          onChange={(event) => {
            addFiles(event.currentTarget.files ?? []);
            event.currentTarget.value = "";
          }}
        />
      </div>
      {uploads.length > 0 && (
        <ul className={styles.list} aria-label="Uploads">
          {uploads.map((upload) => (
            <UploadRow key={upload.id} upload={upload} />
          ))}
        </ul>
      )}
    </section>
  );
}
