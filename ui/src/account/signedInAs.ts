import type { QueryClient } from "@tanstack/react-query";

import { sessionQuery } from "../api/queries";
import type { Who } from "../api/types";

/** Somebody else is here now (or nobody): what the last one could read is forgotten. */
export async function signedInAs(client: QueryClient, who: Who | null): Promise<void> {
  // An answer that is still on its way is about the last one.
  await client.cancelQueries();
  client.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionQuery.queryKey[0] });
  client.setQueryData(sessionQuery.queryKey, who);
}
