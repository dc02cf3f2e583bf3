/** Requests as they went through the services: lists of the newest, the slowest and the failed, and a waterfall of each. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState, type SubmitEvent } from "react";

import buttons from "../../parts/button.module.css";
import { Choice } from "../../parts/Choice";
import { Field } from "../../parts/Field";
import type { ConsolePageProps } from "../pages";
import { shortTime, timeOfDay } from "./figures";
import styles from "./observe.module.css";
import { NoRows, Panel, Table } from "./Panel";
import { mapQuery, tracesQuery, type TraceFilter } from "./queries";
import { WaterfallPanel } from "./Waterfall";

type Kind = "recent" | "slow" | "failed";

const kinds: [Kind, string][] = [
  ["recent", "The newest"],
  ["slow", "The slowest of the last hour"],
  ["failed", "Those that failed"],
];

export function TracesPage({ item }: ConsolePageProps) {
  return item === "" ? <List /> : <WaterfallPanel key={item} traceId={item} />;
}

function List() {
  const [kind, setKind] = useState<Kind>("recent");
  const [service, setService] = useState("");
  const filter: TraceFilter = { service, errors: kind === "failed", order: kind === "slow" ? "slow" : "recent" };
  const { data, error } = useQuery(tracesQuery(filter));
  const { data: map } = useQuery(mapQuery);
  const services: [string, string][] = [
    ["", "Any"],
    ...(map?.nodes ?? []).map((node): [string, string] => [node.name, node.name]),
  ];
  const aside = (
    <div className={styles.controls}>
      <Choice label="Which" value={kind} options={kinds} onChange={(value) => setKind(value as Kind)} testId="trace-kind" />
      <Choice label="Service" value={service} options={services} onChange={setService} testId="trace-service" />
      <GoTo />
    </div>
  );
  return (
    <Panel title="Traces" data={data} error={error} aside={aside} testId="traces-page">
      <Table caption="Requests" heads={["Request", "Begun", "Took", "Status", "At", "Spans"]}>
        {data?.traces.map((trace) => (
          <tr key={trace.trace_id} data-testid="trace-row">
            <th scope="row">
              <Link
                to="/console/{-$page}/{-$item}"
                params={{ page: "traces", item: trace.trace_id }}
                className={styles.link}
              >
                {trace.name}
              </Link>
            </th>
            <td>{timeOfDay(trace.started_at, true)}</td>
            <td>{shortTime(trace.seconds)}</td>
            <td className={trace.error ? styles.bad : undefined}>{trace.status === 0 ? (trace.error ? "failed" : "–") : trace.status}</td>
            <td>{trace.services.join(", ")}</td>
            <td>{trace.spans}</td>
          </tr>
        ))}
        {data?.traces.length === 0 && <NoRows columns={6}>No request of this kind has been kept.</NoRows>}
      </Table>
    </Panel>
  );
}

/** Opens the waterfall of a request id, as answers carry it in X-Request-Id and errors show it. */
function GoTo() {
  const [id, setId] = useState("");
  const navigate = useNavigate();
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const item = id.trim().toLowerCase();
    if (item !== "") void navigate({ to: "/console/{-$page}/{-$item}", params: { page: "traces", item } });
  };
  return (
    <form className={styles.goTo} onSubmit={submit} role="search">
      <Field
        label="Request id"
        value={id}
        maxLength={64}
        spellCheck={false}
        onChange={(event) => setId(event.currentTarget.value)}
        data-testid="trace-id"
      />
      <button type="submit" className={buttons.quiet} data-testid="trace-go">
        Show
      </button>
    </form>
  );
}
