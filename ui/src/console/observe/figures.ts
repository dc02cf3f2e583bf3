/** Rates, shares and times as operators read them. */

/** 0.0042 -> "4.2 ms", 1.25 -> "1.25 s"; nothing measured -> "–". */
export function shortTime(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 0.0009995) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 0.00995) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(0)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

/** 0.24 -> "0.24/s", 1234 -> "1,234/s". */
export function rate(perSecond: number): string {
  if (perSecond === 0) return "0/s";
  if (perSecond < 10) return `${perSecond.toFixed(perSecond < 1 ? 2 : 1)}/s`;
  return `${Math.round(perSecond).toLocaleString("en")}/s`;
}

/** 0.0123 -> "1.2 %"; a share that is not quite nothing is never shown as nothing. */
export function share(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined || !Number.isFinite(ratio)) return "–";
  const percent = ratio * 100;
  if (percent !== 0 && Math.abs(percent) < 0.1) return percent > 0 ? "< 0.1 %" : "> -0.1 %";
  return `${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0)} %`;
}

/** 0.9995 -> "99.95 %": as many digits as an objective needs to be told from the next. */
export function precise(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined || !Number.isFinite(ratio)) return "–";
  return `${Number((ratio * 100).toFixed(4))} %`;
}

/** The time of day of a Unix time, with milliseconds where they matter. */
export function timeOfDay(unixSeconds: number, fine = false): string {
  const at = new Date(unixSeconds * 1000);
  const text = at.toLocaleTimeString("en-GB");
  return fine ? `${text}.${String(at.getMilliseconds()).padStart(3, "0")}` : text;
}

/** 7200 -> "2 h", 259200 -> "3 d": windows of objectives. */
export function windowName(seconds: number): string {
  if (seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  return `${seconds / 60} min`;
}
