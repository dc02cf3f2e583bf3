/** Lines over time, drawn by uPlot; what they say is said in words too. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import styles from "./observe.module.css";

export interface Line {
  label: string;
  /** A colour of the identity, by the name of its token. */
  token: "--teal" | "--light" | "--fault" | "--paper-2";
  values: readonly (number | null)[];
}

interface ChartProps {
  title: string;
  times: readonly number[];
  lines: readonly Line[];
  format: (value: number) => string;
}

const HEIGHT = 190;

export function Chart({ title, times, lines, format }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shape = lines.map((line) => `${line.label} ${line.token}`).join("|");
  const shown = useRef({ lines, format });
  useEffect(() => {
    shown.current = { lines, format };
  });

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const colours = getComputedStyle(element);
    const token = (name: string) => colours.getPropertyValue(name).trim();
    const axis = { stroke: token("--paper-3"), grid: { stroke: token("--ink-4"), width: 1 }, ticks: { show: false } };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        cursor: { y: false },
        legend: { live: true },
        scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [axis, { ...axis, size: 72, values: (_plot, marks) => marks.map((mark) => shown.current.format(mark)) }],
        series: [
          { value: (_plot, at: number | null) => (at === null ? "–" : new Date(at * 1000).toLocaleTimeString("en-GB")) },
          ...shown.current.lines.map((line) => ({
            label: line.label,
            stroke: token(line.token),
            width: 1.6,
            spanGaps: false,
            points: { show: false },
            value: (_plot: uPlot, value: number | null) => (value === null ? "–" : shown.current.format(value)),
          })),
        ],
      },
      [[], ...shown.current.lines.map(() => [])],
      element,
    );
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData([[...times], ...lines.map((line) => [...line.values])]);
  }, [times, lines, shape]);

  return (
    <figure className={styles.chart} data-testid="chart">
      <figcaption className={styles.subtitle}>{title}</figcaption>
      <div ref={host} role="img" aria-label={`${title}: ${summary(lines, format)}`} />
    </figure>
  );
}

/** The last value of each line: what somebody who cannot see the picture wants first. */
function summary(lines: readonly Line[], format: (value: number) => string): string {
  return lines
    .map((line) => {
      const last = line.values.filter((value) => value !== null).at(-1);
      return `${line.label} ${last === undefined ? "nothing yet" : format(last)}`;
    })
    .join(", ");
}
