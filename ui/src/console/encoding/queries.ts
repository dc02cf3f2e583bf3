/** What the console's page on encoding reads: reports on titles, and the roll-outs of codecs. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { request } from "../../api/request";
import type { Backfills, EncodingReport } from "../../api/types";

export function reportQuery(titleId: string) {
  return queryOptions({
    queryKey: ["encoding", "report", titleId],
    queryFn: ({ signal }) => request<EncodingReport>(`/v1/reports/${encodeURIComponent(titleId)}`, { signal }),
    staleTime: 5000,
  });
}

export const backfillsQuery = queryOptions({
  queryKey: ["encoding", "backfills"],
  queryFn: async ({ signal }) => (await request<Backfills>("/v1/backfills", { signal })).backfills,
  refetchInterval: 3000,
  placeholderData: keepPreviousData,
  staleTime: 0,
});
