/** One service's routes added up for each step; of durations, the largest of the routes, as quantiles cannot be added. */
import type { RouteSeries, ServiceSeries } from "../../api/types";

export interface Totals {
  times: number[];
  rps: number[];
  errors: number[];
  p50: (number | null)[];
  p99: (number | null)[];
}

/** What a service does itself counts; what it asks of others only where it does nothing else. */
export function totalsOf(series: ServiceSeries): Totals {
  const answered = series.routes.filter((route) => route.kind !== "client");
  const routes = answered.length > 0 ? answered : series.routes;
  const steps = Array.from({ length: series.steps }, (_, step) => step);
  const sum = (of: (route: RouteSeries) => readonly number[]) =>
    steps.map((step) => routes.reduce((total, route) => total + (of(route)[step] ?? 0), 0));
  const busiest = (of: (route: RouteSeries) => readonly (number | null)[]) =>
    steps.map((step) => {
      const values = routes.map((route) => of(route)[step] ?? null).filter((value) => value !== null);
      return values.length > 0 ? Math.max(...values) : null;
    });
  return {
    times: steps.map((step) => series.starts_at + step * series.step_seconds),
    rps: sum((route) => route.rps),
    errors: sum((route) => route.errors),
    p50: busiest((route) => route.p50_seconds),
    p99: busiest((route) => route.p99_seconds),
  };
}
