/** What the pages of the console read from telemetry and discovery, every two seconds while they are looked at. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { request } from "../../api/request";
import type {
  Objectives,
  Processes,
  RegistryState,
  Resilience,
  ServiceMap,
  ServiceSeries,
  Trace,
  TraceList,
} from "../../api/types";

const EVERY = 2000;

function live<T>(name: readonly string[], path: string, every = EVERY) {
  return queryOptions({
    queryKey: ["telemetry", ...name],
    queryFn: ({ signal }) => request<T>(`/v1/${path}`, { signal }),
    refetchInterval: every,
    placeholderData: keepPreviousData,
    staleTime: 0,
  });
}

export const mapQuery = live<ServiceMap>(["map"], "telemetry/map");
export const processesQuery = live<Processes>(["instances"], "telemetry/instances");
export const resilienceQuery = live<Resilience>(["resilience"], "telemetry/resilience");
export const registryQuery = live<RegistryState>(["registry"], "registry/state");
export const objectivesQuery = live<Objectives>(["slo"], "telemetry/slo", 10_000);

export function seriesQuery(service: string, minutes: number) {
  const path = `telemetry/services/${encodeURIComponent(service)}?minutes=${minutes}`;
  return live<ServiceSeries>(["services", service, String(minutes)], path);
}

export interface TraceFilter {
  service: string;
  errors: boolean;
  order: "recent" | "slow";
}

export function tracesQuery({ service, errors, order }: TraceFilter) {
  const search = new URLSearchParams({ service, errors: String(errors), order });
  return live<TraceList>(["traces", service, String(errors), order], `telemetry/traces?${search}`);
}

/** A waterfall: the last spans of a request that has just ended arrive within seconds, so it is asked again too. */
export function traceQuery(traceId: string) {
  return live<Trace>(["trace", traceId], `telemetry/traces/${encodeURIComponent(traceId)}`, 5000);
}
