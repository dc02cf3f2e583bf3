/**
 * Media and manifest addresses carry their token in the path (`/m/{token}/...`, `/v1/manifests/{token}/...`), so
 * a renewed token takes effect by rewriting each address on its way out.
 */

const TOKEN_IN_PATH = /(\/(?:m|v1\/manifests)\/)([^/]+)(?=\/)/;

/** The token in an address, or "" when there is none. */
export function tokenIn(address: string): string {
  return TOKEN_IN_PATH.exec(address)?.[2] ?? "";
}

/** The same address with another token; an address without a token stays as it is. */
export function withToken(address: string, token: string): string {
  return token === "" ? address : address.replace(TOKEN_IN_PATH, (_whole, before: string) => before + token);
}
