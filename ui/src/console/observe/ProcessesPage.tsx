/** What each process uses of what it may use, how much waits for that, and what went wrong (Gregg's USE method). */
import { useQuery } from "@tanstack/react-query";

import type { PoolUsage, ProcessState } from "../../api/types";
import { bytes, duration } from "../../format";
import { share, shortTime } from "./figures";
import styles from "./observe.module.css";
import { NoRows, Panel, Table } from "./Panel";
import { processesQuery } from "./queries";

const BUSY = 0.85;
const LATE_SECONDS = 0.1;

export function ProcessesPage() {
  const { data, error } = useQuery(processesQuery);
  const processes = data && [...data.processes].sort((a, b) => a.process.localeCompare(b.process));
  return (
    <Panel title="Processes" data={data} error={error} testId="processes-page">
      <Table
        caption="Every process that reports"
        heads={["Process", "Services", "Up", "Processor", "Memory", "Files", "Threads", "Loop late", "GC pause"]}
      >
        {processes?.map((process) => <Process key={process.process} process={process} at={data?.at ?? 0} />)}
        {processes?.length === 0 && <NoRows columns={9}>No process has reported yet; the first reports come within seconds.</NoRows>}
      </Table>
      <Table caption="Pools" heads={["Process", "Pool", "In use", "Limit", "Used", "Waiting", "Errors"]}>
        {processes?.flatMap((process) =>
          process.usage.pools.map((pool) => <Pool key={`${process.process} ${pool.name}`} process={process.process} pool={pool} />),
        )}
        {processes?.every((process) => process.usage.pools.length === 0) && <NoRows columns={7}>No pool is in use.</NoRows>}
      </Table>
    </Panel>
  );
}

function Process({ process, at }: { process: ProcessState; at: number }) {
  const { usage } = process;
  const silent = at - process.reported_at;
  return (
    <tr data-testid="process-row">
      <th scope="row">
        {process.process}
        {silent > 10 && <span className={styles.bad}> silent for {duration(silent)}</span>}
      </th>
      <td>{process.services.join(", ")}</td>
      <td>{duration(at - usage.started_at)}</td>
      <td>
        <Bar share={usage.cpu} words={share(usage.cpu)} />
      </td>
      <td>{bytes(usage.memory_bytes)}</td>
      <td className={usage.descriptors > usage.most_descriptors * BUSY ? styles.bad : undefined}>
        {usage.descriptors.toLocaleString("en")}
      </td>
      <td>{usage.threads}</td>
      <td className={usage.loop_lag_seconds > LATE_SECONDS ? styles.bad : undefined}>{shortTime(usage.loop_lag_seconds)}</td>
      <td>{shortTime(usage.gc_pause_seconds)}</td>
    </tr>
  );
}

function Pool({ process, pool }: { process: string; pool: PoolUsage }) {
  const limit = pool.limit ?? null;
  return (
    <tr>
      <th scope="row">{process}</th>
      <td>{pool.name}</td>
      <td>{pool.in_use}</td>
      <td>{limit ?? "none"}</td>
      <td>{limit ? <Bar share={pool.in_use / limit} words={share(pool.in_use / limit)} /> : "–"}</td>
      <td className={pool.waiting > 0 ? styles.bad : undefined}>{pool.waiting}</td>
      <td className={pool.errors > 0 ? styles.bad : undefined}>{pool.errors}</td>
    </tr>
  );
}

/** A share as a length, with its words beside it. */
export function Bar({ share: part, words }: { share: number; words: string }) {
  return (
    <span className={styles.barred}>
      <span className={styles.bar} aria-hidden="true">
        <span
          className={part > BUSY ? styles.barFull : styles.barFill}
          style={{ width: `${Math.min(1, Math.max(0, part)) * 100}%` }}
        />
      </span>
      {words}
    </span>
  );
}
