import type { QueryClient } from "@tanstack/react-query";

import { sessionQuery } from "../api/queries";
import type { Who } from "../api/types";

/** Somebody else is here now (or nobody): what the last one could read is forgotten. */
export function signedInAs(client: QueryClient, who: Who | null): void {
  client.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionQuery.queryKey[0] });
  client.setQueryData(sessionQuery.queryKey, who);
}
