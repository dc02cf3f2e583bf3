/** What the pages read, by name; Query keeps it and the event stream says when it is out of date. */
import { infiniteQueryOptions, QueryClient, queryOptions } from "@tanstack/react-query";

import { ApiError, isTransient, request } from "./request";
import type { AuditPage, Home, Job, JobPage, PropertyList, Title, TitlePage, Who, Withdrawal, Withdrawals } from "./types";

/** Causes that pass by themselves are asked again for as long as it takes, ever more slowly up to 5 s. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        retry: (_failures, error) => isTransient(error),
        retryDelay: (failures) => Math.min(5000, 400 * 2 ** failures),
        staleTime: 30_000,
        networkMode: "always",
      },
      mutations: { networkMode: "always" },
    },
  });
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<Who | null> => {
    try {
      return await request<Who>("/v1/session", { signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 5 * 60_000,
});

export const homeQuery = queryOptions({
  queryKey: ["catalog", "home"],
  queryFn: ({ signal }) => request<Home>("/v1/home", { signal }),
});

export function titleQuery(titleId: string) {
  return queryOptions({
    queryKey: ["catalog", "title", titleId],
    queryFn: ({ signal }) => request<Title>(`/v1/titles/${encodeURIComponent(titleId)}`, { signal }),
  });
}

export const titlesQuery = infiniteQueryOptions({
  queryKey: ["catalog", "titles"],
  queryFn: ({ pageParam, signal }) => {
    const cursor = pageParam === "" ? "" : `&cursor=${encodeURIComponent(pageParam)}`;
    return request<TitlePage>(`/v1/titles?limit=50${cursor}`, { signal });
  },
  initialPageParam: "",
  getNextPageParam: (page) => page.next_cursor ?? undefined,
});

/** What was taken off the programme and why; out of date with each version of the catalogue. */
export const withdrawalsQuery = queryOptions({
  queryKey: ["catalog", "withdrawals"],
  queryFn: async ({ signal }): Promise<readonly Withdrawal[]> =>
    (await request<Withdrawals>("/v1/catalog/withdrawals", { signal })).withdrawals,
});

export const jobsQuery = queryOptions({
  queryKey: ["jobs"],
  queryFn: async ({ signal }): Promise<Job[]> => (await request<JobPage>("/v1/jobs", { signal })).jobs,
});

/** Read every few seconds while it is looked at: others change properties too, and values end by themselves. */
export const propertiesQuery = queryOptions({
  queryKey: ["properties", "list"],
  queryFn: ({ signal }) => request<PropertyList>("/v1/properties", { signal }),
  refetchInterval: 3000,
});

/** The changes of one property, or of all with an empty name, the newest first. */
export function propertyChangesQuery(name: string) {
  return infiniteQueryOptions({
    queryKey: ["properties", "changes", name],
    queryFn: ({ pageParam, signal }) => {
      const search = new URLSearchParams({ limit: "25", name, cursor: pageParam });
      return request<AuditPage>(`/v1/properties/audit?${search}`, { signal });
    },
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}
