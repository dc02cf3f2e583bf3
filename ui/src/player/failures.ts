/** What a failure of the player means and what to do about it. */
import type { ShakaError } from "./shaka";

/** Codes of shaka.util.Error that matter here, by their documented numbers. */
const CODE = { badStatus: 1001, requestFilter: 1006, loadInterrupted: 7000 } as const;
const CATEGORY = { network: 1, media: 3, drm: 6 } as const;

export type Remedy =
  /** The address was refused: get a new token, then go on. */
  | "renew"
  /** The version is gone: start a new play at the same position. */
  | "restart"
  /** Nobody answered, or not now: ask again. */
  | "retry"
  /** We did it ourselves, by leaving or by loading something else. */
  | "ignore"
  /** Cannot be helped: say so. */
  | "give-up";

export function isShakaError(error: unknown): error is ShakaError {
  return typeof error === "object" && error !== null && "category" in error && "code" in error && "data" in error;
}

/** Decide by Shaka's category and code, and by the status when there was an answer. */
export function remedyFor(error: Pick<ShakaError, "category" | "code" | "data">): Remedy {
  if (error.code === CODE.loadInterrupted) return "ignore";
  if (error.category !== CATEGORY.network) return "give-up";
  // Our own filter failed, which happens when it could not renew the token.
  if (error.code === CODE.requestFilter) return "renew";
  if (error.code !== CODE.badStatus) return "retry";
  const status: unknown = (error.data as unknown[])[1];
  if (status === 401 || status === 403) return "renew";
  if (status === 404 || status === 410) return "restart";
  return "retry";
}

/** A sentence for people about what cannot be helped. */
export function failureSentence(error: unknown): string {
  if (!isShakaError(error)) return error instanceof Error ? error.message : "The film cannot be played.";
  const code = `(player error ${error.code})`;
  if (error.category === CATEGORY.media) return `This browser cannot decode the film; try another browser. ${code}`;
  if (error.category === CATEGORY.drm) return `This browser may not decrypt the film. ${code}`;
  return `The film cannot be played here. ${code}`;
}
