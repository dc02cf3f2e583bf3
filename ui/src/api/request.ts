/**
 * The one way to call the region's API: JSON in, JSON out, problem documents (RFC 9457) become errors.
 * Freshness is the browser's business: it keeps ETags and revalidates by itself.
 */

/** What a service answered instead of what was asked; the message is its sentence for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Nobody answered: the network is gone, or the region is down or restarting. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";

  constructor() {
    super("Kinema cannot be reached right now. It will carry on when the connection is back.");
  }
}

interface ProblemDocument {
  type?: string;
  title?: string;
  detail?: string;
}

/** Is this worth asking again unchanged, because the cause goes away by itself? */
export function isTransient(error: unknown): boolean {
  if (error instanceof Unreachable) return true;
  return error instanceof ApiError && [429, 502, 503, 504].includes(error.status);
}

/** The sentence to show for whatever was thrown. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function errorOf(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => ({}))) as ProblemDocument;
  const detail = problem.detail ?? problem.title ?? `The region answered with status ${response.status}.`;
  const code = problem.type?.split(/[:/]/).pop() ?? "";
  return new ApiError(response.status, code, detail);
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  /** Makes a repeated POST safe: the region answers the second as it answered the first. */
  idempotencyKey?: string;
  /** Refused with 412 unless the thing still is in the state with this ETag. */
  ifMatch?: string;
  signal?: AbortSignal | undefined;
}

/** Call the API. Throws ApiError or Unreachable; an abort passes through as it is. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const { method = "GET", body, idempotencyKey, ifMatch, signal } = options;
  const headers = new Headers({ accept: "application/json" });
  const init: RequestInit = { method, credentials: "same-origin", headers };
  if (signal) init.signal = signal;
  if (idempotencyKey !== undefined) headers.set("idempotency-key", idempotencyKey);
  if (ifMatch !== undefined) headers.set("if-match", ifMatch);
  if (body !== undefined) {
    headers.set("content-type", "application/json");
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new Unreachable();
  }
  if (!response.ok) throw await errorOf(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}
