/** Rate, errors and duration of one service: over time, and by route. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import type { ServiceSeries } from "../../api/types";
import { Choice } from "../../parts/Choice";
import type { ConsolePageProps } from "../pages";
import { Chart, type Line } from "./Chart";
import { rate, share, shortTime } from "./figures";
import styles from "./observe.module.css";
import { NoRows, Panel, Table } from "./Panel";
import { mapQuery, seriesQuery } from "./queries";
import { totalsOf } from "./totals";

const spans: [string, string][] = [
  ["5", "5 minutes"],
  ["15", "15 minutes"],
  ["60", "An hour"],
];

export function ServicesPage({ item }: ConsolePageProps) {
  return item === "" ? <AllServices /> : <OneService name={item} />;
}

function AllServices() {
  const { data, error } = useQuery(mapQuery);
  const nodes = data && [...data.nodes].sort((a, b) => a.name.localeCompare(b.name));
  return (
    <Panel title="Services" data={data} error={error} testId="services-page">
      <Table caption="Services within the last minute" heads={["Service", "Instances", "Requests", "Failed", "p50", "p99"]}>
        {nodes?.map((node) => (
          <tr key={node.name}>
            <th scope="row">
              <Link to="/console/{-$page}/{-$item}" params={{ page: "services", item: node.name }} className={styles.link}>
                {node.name}
              </Link>
            </th>
            <td>{node.instances > 0 ? node.instances : "–"}</td>
            <td>{rate(node.rps)}</td>
            <td className={node.error_ratio >= 0.01 ? styles.bad : undefined}>{share(node.error_ratio)}</td>
            <td>{shortTime(node.p50_seconds)}</td>
            <td>{shortTime(node.p99_seconds)}</td>
          </tr>
        ))}
        {nodes?.length === 0 && <NoRows columns={6}>No process has reported yet; the first reports come within seconds.</NoRows>}
      </Table>
    </Panel>
  );
}

function OneService({ name }: { name: string }) {
  const [minutes, setMinutes] = useState("15");
  const { data, error } = useQuery(seriesQuery(name, Number(minutes)));
  const aside = <Choice label="Span" value={minutes} options={spans} onChange={setMinutes} testId="series-span" />;
  return (
    <Panel title={name} data={data} error={error} aside={aside} testId="service-page">
      {data && <Charts series={data} />}
      {data && <Routes series={data} />}
    </Panel>
  );
}

function Charts({ series }: { series: ServiceSeries }) {
  const { times, requests, errors, durations } = useMemo(() => {
    const totals = totalsOf(series);
    const requests: Line[] = [{ label: "Requests", token: "--teal", values: totals.rps }];
    const errors: Line[] = [{ label: "Failed", token: "--fault", values: totals.errors }];
    const durations: Line[] = [
      { label: "p50", token: "--paper-2", values: totals.p50 },
      { label: "p99", token: "--light", values: totals.p99 },
    ];
    return { times: totals.times, requests, errors, durations };
  }, [series]);
  return (
    <div className={styles.charts}>
      <Chart title="Requests" times={times} lines={requests} format={rate} />
      <Chart title="Failed" times={times} lines={errors} format={rate} />
      <Chart title="Duration" times={times} lines={durations} format={shortTime} />
    </div>
  );
}

function Routes({ series }: { series: ServiceSeries }) {
  return (
    <Table caption="By route, the busiest first" heads={["Route", "Kind", "To or from", "Requests", "Failed", "p50", "p99"]}>
      {series.routes.map((route) => (
        <tr key={`${route.kind} ${route.route} ${route.peer}`} data-testid="route-row">
          <th scope="row" className={styles.code}>
            {route.route}
          </th>
          <td>{route.kind}</td>
          <td>{route.peer === "" ? "–" : route.peer}</td>
          <td>{route.requests.toLocaleString("en")}</td>
          <td className={route.failed > 0 ? styles.bad : undefined}>{route.failed.toLocaleString("en")}</td>
          <td>{shortTime(route.p50)}</td>
          <td>{shortTime(route.p99)}</td>
        </tr>
      ))}
      {series.routes.length === 0 && <NoRows columns={7}>Nothing was asked of it in this time.</NoRows>}
    </Table>
  );
}
