/**
 * One file on its way to the region over tus: resumable, so that a lost connection, a killed service or a closed
 * page costs at most the piece that was under way.
 */
import { DetailedError, Upload as TusUpload } from "tus-js-client";

export type UploadState =
  /** Chosen, not started: the title can still be changed. */
  | "chosen"
  | "uploading"
  | "reconnecting"
  | "paused"
  | "done"
  | "failed";

export interface UploadView {
  id: string;
  fileName: string;
  title: string;
  state: UploadState;
  sent: number;
  size: number;
  /** Bytes a second since it was last started, 0 while unknown. */
  rate: number;
  titleId: string;
  failure: string;
}

const CHUNK_BYTES = 8 * 1024 * 1024;
/** Half a day of attempts, 3 s apart after the first few: a region that is away comes back sooner. */
const RETRY_DELAYS = [200, 500, 1000, 2000, ...Array<number>(15_000).fill(3000)];
/** Answers that no repetition changes: too large, not supported, disk full, not allowed... */
const FINAL_SERVER_STATUS = 507;

/** "the_slow-weather.final.mp4" -> "the slow weather.final": a first proposal for a title. */
export function titleFromFileName(fileName: string): string {
  const stem = fileName.replace(/\.[^.]{1,5}$/, "");
  return (stem === "" ? fileName : stem).replace(/[_-]+/g, " ").replace(/\s+/g, " ").trim();
}

/** Will the same request work later? No answer and trouble on the server's side pass; a refusal does not. */
export function worthRetrying(status: number): boolean {
  if (status === FINAL_SERVER_STATUS) return false;
  return status === 0 || status >= 500 || [409, 423, 429].includes(status);
}

function statusOf(error: unknown): number {
  return error instanceof DetailedError ? (error.originalResponse?.getStatus() ?? 0) : 0;
}

function sentenceOf(error: unknown): string {
  const body = error instanceof DetailedError ? error.originalResponse?.getBody() : undefined;
  try {
    const problem = JSON.parse(body ?? "") as { detail?: string; title?: string };
    const said = problem.detail ?? problem.title;
    if (said) return said;
  } catch {
    // Not a problem document; the general sentence says it.
  }
  return `The upload was refused with status ${statusOf(error)}.`;
}

export class Upload {
  view: UploadView;
  private tus: TusUpload | null = null;
  private startedAt = 0;
  private startedFrom = -1;

  constructor(
    private readonly file: File,
    private readonly changed: () => void,
  ) {
    this.view = {
      id: `${Date.now()}-${Math.random()}`,
      fileName: file.name,
      title: titleFromFileName(file.name),
      state: "chosen",
      sent: 0,
      size: file.size,
      rate: 0,
      titleId: "",
      failure: "",
    };
  }

  rename(title: string): void {
    this.update({ title });
  }

  /** Start, or go on where it was: an earlier upload of the same file is found by its fingerprint. */
  async start(): Promise<void> {
    this.startedAt = performance.now();
    this.startedFrom = -1;
    this.update({ state: "uploading", failure: "" });
    this.tus ??= await this.create();
    this.tus.start();
  }

  async pause(): Promise<void> {
    this.update({ state: "paused", rate: 0 });
    await this.tus?.abort();
  }

  /** Stop and have the region forget what it has. */
  async cancel(): Promise<void> {
    await this.tus?.abort(true).catch(() => undefined);
  }

  private async create(): Promise<TusUpload> {
    const title = this.view.title.trim();
    const upload = new TusUpload(this.file, {
      endpoint: "/v1/uploads",
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_DELAYS,
      removeFingerprintOnSuccess: true,
      metadata: {
        filename: this.file.name,
        title: title === "" ? titleFromFileName(this.file.name) : title,
        filetype: this.file.type,
      },
      onShouldRetry: (error) => {
        const again = worthRetrying(statusOf(error));
        if (again && this.view.state === "uploading") this.update({ state: "reconnecting", rate: 0 });
        return again;
      },
      onAfterResponse: (_request, response) => {
        const titleId = response.getHeader("Kinema-Title-Id");
        if (titleId) this.update({ titleId });
      },
      onProgress: (sent) => this.progress(sent),
      onSuccess: () => this.update({ state: "done", sent: this.file.size, rate: 0 }),
      onError: (error) => this.update({ state: "failed", rate: 0, failure: sentenceOf(error) }),
    });
    const earlier = (await upload.findPreviousUploads())[0];
    if (earlier) upload.resumeFromPreviousUpload(earlier);
    return upload;
  }

  private progress(sent: number): void {
    if (this.view.state === "paused") return;
    if (this.startedFrom < 0) this.startedFrom = sent;
    const seconds = (performance.now() - this.startedAt) / 1000;
    const rate = seconds > 1 ? Math.max(0, sent - this.startedFrom) / seconds : 0;
    this.update({ state: "uploading", sent, rate });
  }

  private update(change: Partial<UploadView>): void {
    this.view = { ...this.view, ...change };
    this.changed();
  }
}
