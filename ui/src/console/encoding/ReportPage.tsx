/** How a title was encoded: what was measured, what was chosen and why, what it cost and saved. */
import { useQuery } from "@tanstack/react-query";

import type { EncodingReport, RungReport } from "../../api/types";
import { bitrate, clockTime, codecName, duration } from "../../format";
import observe from "../observe/observe.module.css";
import { Figure, NoRows, Panel, Table } from "../observe/Panel";
import styles from "./encoding.module.css";
import { RateQuality } from "./RateQuality";
import { ShotLine } from "./ShotLine";
import { reportQuery } from "./queries";

export function ReportPage({ titleId }: { titleId: string }) {
  const { data, error } = useQuery(reportQuery(titleId));
  return (
    <Panel title={data?.title ?? "Report"} data={data} error={error} testId="report-page">
      {data && <Report report={data} />}
    </Panel>
  );
}

function Report({ report }: { report: EncodingReport }) {
  const saved = report.saved_share;
  return (
    <>
      <dl className={observe.figures}>
        <Figure name="Film" value={`${report.width} × ${report.height}, ${clockTime(report.duration_seconds)}`} />
        <Figure name="Version" value={String(report.version)} />
        <Figure name="Model" value={report.quality_model || "not measured"} />
        <Figure
          name="Beside the fixed ladder"
          value={typeof saved === "number" ? `${Math.abs(100 * saved).toFixed(0)} % ${saved < 0 ? "more" : "fewer"} bits` : "not measured"}
          bad={typeof saved === "number" && saved < 0}
        />
        <Figure name="Processor time" value={`${duration(report.cpu_seconds)} (${(report.cpu_seconds / report.duration_seconds).toFixed(1)} x)`} />
      </dl>
      <RateQuality report={report} />
      <ShotLine report={report} />
      <Table caption="Rungs" heads={["Rung", "Codec", "Rate", "Planned", "Peak", "VMAF", "Planned", "Why"]}>
        {report.rungs.map((rung) => (
          <Rung key={rung.name} rung={rung} />
        ))}
      </Table>
      <Table caption="What it took" heads={["Step", "Times", "Processor"]}>
        {report.costs.map((cost) => (
          <tr key={cost.kind}>
            <th scope="row">{cost.kind}</th>
            <td>{cost.steps}</td>
            <td>{duration(cost.cpu_seconds)}</td>
          </tr>
        ))}
        {report.costs.length === 0 && <NoRows columns={3}>No step of it was measured by itself.</NoRows>}
      </Table>
      {report.remarks.length > 0 && (
        <section className={styles.remarks} aria-label="About the source">
          <h2 className={observe.subtitle}>The source</h2>
          {report.remarks.map((remark) => (
            <p key={remark}>{remark}</p>
          ))}
        </section>
      )}
    </>
  );
}

function Rung({ rung }: { rung: RungReport }) {
  const planned = rung.planned_bits_per_second > 0;
  return (
    <tr data-testid="report-rung">
      <th scope="row">
        {rung.width} × {rung.height}
      </th>
      <td>{codecName(rung.codec)}</td>
      <td>{bitrate(rung.bits_per_second)}</td>
      <td>{planned ? bitrate(rung.planned_bits_per_second) : "–"}</td>
      <td>{bitrate(rung.peak_bits_per_second)}</td>
      <td>{rung.vmaf > 0 ? rung.vmaf.toFixed(1) : "–"}</td>
      <td>{rung.planned_vmaf > 0 ? rung.planned_vmaf.toFixed(1) : "–"}</td>
      <td className={styles.reason}>{rung.reason || "–"}</td>
    </tr>
  );
}
