/** Quality over rate: what was probed, the hull of it, the rungs that were chosen, and what the fixed ladder would have given. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import type { EncodingReport } from "../../api/types";
import { bitrate } from "../../format";
import observe from "../observe/observe.module.css";
import { linesOf } from "./lines";

const HEIGHT = 340;
// A const enum that exists only in uPlot's types, not when it runs.
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
const LOGARITHMIC: uPlot.Scale.Distr = 3;

export function RateQuality({ report }: { report: EncodingReport }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const colours = getComputedStyle(element);
    const token = (name: string) => colours.getPropertyValue(name).trim();
    const { rates, lines } = linesOf(report);
    const axis = { stroke: token("--paper-3"), grid: { stroke: token("--ink-4"), width: 1 }, ticks: { show: false } };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        scales: { x: { time: false, distr: LOGARITHMIC }, y: { range: (_plot, low) => [Math.max(0, Math.floor(low / 10) * 10 - 5), 100] } },
        axes: [
          { ...axis, values: (_plot, marks) => marks.map((mark: number | null) => (mark === null ? "" : bitrate(mark))) },
          { ...axis, size: 48 },
        ],
        series: [
          { label: "Rate", value: (_plot, rate: number | null) => (rate === null ? "–" : bitrate(rate)) },
          ...lines.map((line) => ({
            label: line.label,
            stroke: token(line.token),
            width: line.joined ? 1.8 : 0,
            dash: line.dashed ? [6, 5] : [],
            spanGaps: line.joined,
            points: { show: line.dots, size: line.joined ? 9 : 6, fill: token(line.token) },
            value: (_plot: uPlot, value: number | null) => (value === null ? "–" : value.toFixed(1)),
          })),
        ],
      },
      [rates, ...lines.map((line) => line.values)],
      element,
    );
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
    };
  }, [report]);
  return (
    <figure className={observe.chart} data-testid="rate-quality">
      <figcaption className={observe.subtitle}>Quality over rate</figcaption>
      <div ref={host} role="img" aria-label={summary(report)} />
    </figure>
  );
}

/** What somebody who cannot see the picture wants to know; the tables below say the rest. */
function summary(report: EncodingReport): string {
  const rungs = report.rungs.map((rung) => `${bitrate(rung.bits_per_second)} with VMAF ${(rung.vmaf || rung.planned_vmaf).toFixed(0)}`);
  return `VMAF over bits per second. Rungs: ${rungs.join(", ")}. ${report.probes.length} probes.`;
}
