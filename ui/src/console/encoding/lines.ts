/** The points of a report as lines over one common axis of rates, which is how uPlot takes them. */
import type { EncodingReport } from "../../api/types";
import { codecName } from "../../format";

export interface PlotLine {
  label: string;
  token: string;
  values: (number | null)[];
  joined: boolean;
  dashed: boolean;
  dots: boolean;
}

interface Place {
  bits_per_second: number;
  vmaf: number;
}

/** Rates in ascending order, and for each line its VMAF there, null where it has no point. */
export function linesOf(report: EncodingReport): { rates: number[]; lines: PlotLine[] } {
  const rungs = report.rungs.map((rung) => ({ ...rung, vmaf: rung.vmaf || rung.planned_vmaf })).filter((rung) => rung.vmaf > 0);
  const groups: [Omit<PlotLine, "values">, readonly Place[]][] = [
    [{ label: "Fixed ladder", token: "--paper-3", joined: true, dashed: true, dots: true }, report.fixed],
    [{ label: "Probes", token: "--paper-2", joined: false, dashed: false, dots: true }, report.probes],
    [{ label: "Hull", token: "--teal", joined: true, dashed: false, dots: false }, report.hull],
    ...[...new Set(rungs.map((rung) => codecName(rung.codec)))].map(
      (codec, index): [Omit<PlotLine, "values">, readonly Place[]] => [
        { label: `Rungs, ${codec}`, token: index === 0 ? "--light" : "--fault", joined: true, dashed: false, dots: true },
        rungs.filter((rung) => codecName(rung.codec) === codec),
      ],
    ),
  ];
  const shown = groups.filter(([, places]) => places.length > 0);
  const rates = [...new Set(shown.flatMap(([, places]) => places.map((place) => place.bits_per_second)))].sort((a, b) => a - b);
  const lines = shown.map(([line, places]) => {
    const at = new Map(places.map((place) => [place.bits_per_second, place.vmaf]));
    return { ...line, values: rates.map((rate) => at.get(rate) ?? null) };
  });
  return { rates, lines };
}
