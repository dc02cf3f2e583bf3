/** What protects the services from each other, as each calling process sees it: breakers, limits, ejections, shed requests. */
import { useQuery } from "@tanstack/react-query";

import type { Resilience } from "../../api/types";
import { duration } from "../../format";
import { share } from "./figures";
import styles from "./observe.module.css";
import { NoRows, Panel, Table } from "./Panel";
import { Bar } from "./ProcessesPage";
import { resilienceQuery } from "./queries";

const classes = ["critical", "degraded", "best_effort", "bulk"];

export function ResiliencePage() {
  const { data, error } = useQuery(resilienceQuery);
  return (
    <Panel title="Resilience" data={data} error={error} testId="resilience-page">
      {data && <Breakers data={data} />}
      {data && <Limits data={data} />}
      {data && <Ejections data={data} />}
      {data && <ShedRequests data={data} />}
    </Panel>
  );
}

function Breakers({ data }: { data: Resilience }) {
  const rows = data.processes.flatMap(({ process, state }) => state.breakers.map((breaker) => ({ process, ...breaker })));
  const worst = { "forced-open": 0, open: 1, "half-open": 2, "forced-closed": 3, closed: 4 };
  rows.sort((a, b) => worst[a.state] - worst[b.state] || a.service.localeCompare(b.service) || a.process.localeCompare(b.process));
  return (
    <Table caption="Circuit breakers" heads={["Caller", "Service", "Instance", "State", "Failed", "Slow", "Calls judged"]}>
      {rows.map((row) => (
        <tr key={`${row.process} ${row.service} ${row.instance}`} data-testid="breaker-row" data-state={row.state}>
          <th scope="row">{row.process}</th>
          <td>{row.service}</td>
          <td>{row.instance}</td>
          <td>
            <span className={styles.state} data-state={row.state}>
              {row.state}
            </span>
          </td>
          <td>{share(row.failure_ratio)}</td>
          <td>{share(row.slow_ratio)}</td>
          <td>{row.calls}</td>
        </tr>
      ))}
      {rows.length === 0 && <NoRows columns={7}>No process has called another yet.</NoRows>}
    </Table>
  );
}

function Limits({ data }: { data: Resilience }) {
  const rows = data.processes.flatMap(({ process, state }) => state.limits.map((limit) => ({ process, ...limit })));
  return (
    <Table caption="Adaptive limits on concurrency" heads={["Process", "Service", "Instance", "Limit", "Under way", "Used"]}>
      {rows.map((row) => (
        <tr key={`${row.process} ${row.service} ${row.instance}`}>
          <th scope="row">{row.process}</th>
          <td>{row.service}</td>
          <td>{row.instance === "" ? "–" : row.instance}</td>
          <td>{Math.round(row.limit)}</td>
          <td>{row.in_flight}</td>
          <td>
            <Bar share={row.in_flight / Math.max(1, row.limit)} words={share(row.in_flight / Math.max(1, row.limit))} />
          </td>
        </tr>
      ))}
      {rows.length === 0 && <NoRows columns={6}>No limit is in use.</NoRows>}
    </Table>
  );
}

function Ejections({ data }: { data: Resilience }) {
  const rows = data.processes.flatMap(({ process, state }) => state.ejections.map((ejection) => ({ process, ...ejection })));
  return (
    <Table caption="Ejected instances" heads={["Caller", "Service", "Instance", "Why", "For another"]}>
      {rows.map((row) => (
        <tr key={`${row.process} ${row.service} ${row.instance}`}>
          <th scope="row">{row.process}</th>
          <td>{row.service}</td>
          <td>{row.instance}</td>
          <td className={styles.bad}>{row.reason}</td>
          <td>{duration(Math.max(0, row.until - data.at))}</td>
        </tr>
      ))}
      {rows.length === 0 && <NoRows columns={5}>Every instance gets its share.</NoRows>}
    </Table>
  );
}

function ShedRequests({ data }: { data: Resilience }) {
  const rows = data.processes.flatMap(({ process, state }) => state.shed.map((shed) => ({ process, ...shed })));
  rows.sort(
    (a, b) =>
      a.process.localeCompare(b.process) ||
      a.at.localeCompare(b.at) ||
      classes.indexOf(a.priority.toLowerCase()) - classes.indexOf(b.priority.toLowerCase()),
  );
  return (
    <Table caption="Requests by class since the process started" heads={["Process", "At", "Class", "Taken", "Shed", "Share shed"]}>
      {rows.map((row) => (
        <tr key={`${row.process} ${row.at} ${row.priority}`}>
          <th scope="row">{row.process}</th>
          <td>{row.at}</td>
          <td>{row.priority.toLowerCase().replace("_", " ")}</td>
          <td>{row.admitted.toLocaleString("en")}</td>
          <td className={row.shed > 0 ? styles.bad : undefined}>{row.shed.toLocaleString("en")}</td>
          <td>{share(row.admitted + row.shed > 0 ? row.shed / (row.admitted + row.shed) : 0)}</td>
        </tr>
      ))}
      {rows.length === 0 && <NoRows columns={6}>Nothing has been asked yet.</NoRows>}
    </Table>
  );
}
