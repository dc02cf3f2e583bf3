/** One request: who worked on it when, for how long, caused by whom, and what was logged for it. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import type { LogLine, Trace } from "../../api/types";
import { shortTime, timeOfDay } from "./figures";
import styles from "./observe.module.css";
import { NoRows, Panel, Table } from "./Panel";
import { traceQuery } from "./queries";
import { waterfallOf, type WaterfallRow } from "./waterfall";

export function WaterfallPanel({ traceId }: { traceId: string }) {
  const { data, error } = useQuery(traceQuery(traceId));
  return (
    <Panel title="Request" data={data} error={error} testId="trace-page">
      <p className={styles.code}>{traceId}</p>
      {data && <Spans trace={data} />}
      {data && <Logs lines={data.logs} />}
    </Panel>
  );
}

function Spans({ trace }: { trace: Trace }) {
  const rows = useMemo(() => waterfallOf(trace.spans, trace.started_at, trace.seconds), [trace]);
  return (
    <>
      <p>
        Begun at {timeOfDay(trace.started_at, true)}, took {shortTime(trace.seconds)}, {rows.length}{" "}
        {rows.length === 1 ? "span" : "spans"}
      </p>
      <ol className={styles.waterfall} aria-label="Spans in the order in which they caused each other" data-testid="waterfall">
        {rows.map((row) => (
          <SpanRow key={row.span.span_id} row={row} startedAt={trace.started_at} />
        ))}
      </ol>
    </>
  );
}

function SpanRow({ row, startedAt }: { row: WaterfallRow; startedAt: number }) {
  const { span, depth, from, length } = row;
  const attributes = Object.entries(span.attributes ?? {});
  return (
    <li data-testid="span-row" data-service={span.service} data-kind={span.kind}>
      <details>
        <summary className={styles.span}>
          <span className={styles.spanName} style={{ paddingLeft: `${Math.min(depth, 12) * 1.1}rem` }}>
            <b>{span.service}</b> {span.name}
          </span>
          <span className={styles.track} aria-hidden="true">
            <span
              className={span.error ? styles.spanFailed : styles.spanBar}
              data-kind={span.kind}
              style={{ left: `${from * 100}%`, width: `max(2px, ${length * 100}%)` }}
            />
          </span>
          <span className={span.error ? styles.bad : undefined}>
            {shortTime(span.seconds)}
            {span.status !== 0 && span.error ? ` · ${span.status}` : ""}
          </span>
        </summary>
        <dl className={styles.facts}>
          <Fact name="Instance" value={span.instance} />
          <Fact name="Kind" value={span.kind} />
          <Fact name="Began after" value={shortTime(span.started_at - startedAt)} />
          {span.status !== 0 && <Fact name="Status" value={String(span.status)} />}
          {attributes.map(([name, value]) => (
            <Fact key={name} name={name} value={String(value)} />
          ))}
        </dl>
      </details>
    </li>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={styles.code}>{value}</dd>
    </div>
  );
}

function Logs({ lines }: { lines: readonly LogLine[] }) {
  return (
    <Table caption="Logged for this request" heads={["At", "Level", "Instance", "What"]}>
      {lines.map((line, number) => (
        <tr key={`${line.at} ${number}`}>
          <td>{timeOfDay(line.at, true)}</td>
          <td className={line.level === "error" || line.level === "warning" ? styles.bad : undefined}>{line.level}</td>
          <td>{line.instance}</td>
          <td>
            {line.event}{" "}
            {Object.entries(line.facts ?? {})
              .map(([name, value]) => `${name}=${value}`)
              .join(" ")}
          </td>
        </tr>
      ))}
      {lines.length === 0 && <NoRows columns={4}>Nothing was logged for it.</NoRows>}
    </Table>
  );
}
