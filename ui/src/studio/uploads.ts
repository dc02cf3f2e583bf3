/** All uploads of this page. They live outside the pages, so that they go on while somebody looks at something else. */
import { useSyncExternalStore } from "react";

import { Upload, type UploadView } from "./upload";

let uploads: Upload[] = [];
let views: UploadView[] = [];
const listeners = new Set<() => void>();

function changed(): void {
  views = uploads.map((upload) => upload.view);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A closed page can go on later, but only when the same file is chosen again: so ask before it closes. */
addEventListener("beforeunload", (event) => {
  if (views.some((view) => view.state === "uploading" || view.state === "reconnecting")) event.preventDefault();
});

export function useUploads(): UploadView[] {
  return useSyncExternalStore(subscribe, () => views);
}

export function addFiles(files: Iterable<File>): void {
  uploads = [...uploads, ...[...files].map((file) => new Upload(file, changed))];
  changed();
}

export function findUpload(id: string): Upload | undefined {
  return uploads.find((upload) => upload.view.id === id);
}

/** Take an upload off the list; one that is not done is cancelled. */
export function dismiss(id: string): void {
  const upload = findUpload(id);
  if (upload && upload.view.state !== "done") void upload.cancel();
  uploads = uploads.filter((one) => one !== upload);
  changed();
}
