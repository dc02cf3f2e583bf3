/** Numbers as people read them. */

/** 75 -> "1:15"; hours only when there are some. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** 75 -> "1 min 15 s", 48 -> "48 s", 5400 -> "1 h 30 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = whole % 60;
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes >= 10 || (minutes > 0 && rest === 0)) return `${minutes} min`;
  return minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
}

/** The time left, in words that do not twitch: rounded up to 5 s, then to minutes. */
export function timeLeft(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  if (seconds < 60) return `about ${Math.max(5, Math.ceil(seconds / 5) * 5)} s left`;
  return `about ${duration(Math.ceil(seconds / 60) * 60)} left`;
}

/** 0.427 -> "42 %": never "100 %" before it is true. */
export function percent(share: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, share)) * 100)} %`;
}

/** 1536000 -> "1.5 MB" (powers of ten, as disks are sold). */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** 2400000 -> "2.4 Mbit/s". */
export function bitrate(bitsPerSecond: number): string {
  if (bitsPerSecond < 1_000_000) return `${Math.round(bitsPerSecond / 1000)} kbit/s`;
  return `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`;
}

const codecs: Record<string, string> = {
  avc1: "H.264",
  avc3: "H.264",
  hvc1: "HEVC",
  hev1: "HEVC",
  av01: "AV1",
  vp09: "VP9",
};

/** "avc1.64001f" -> "H.264". */
export function codecName(codec: string): string {
  return codecs[codec.split(".")[0] ?? ""] ?? codec;
}

/** "video-360p" -> "360p". */
export function rungName(track: string): string {
  return track.replace(/^video-/, "");
}

/** "encoding video-360p" -> "Encoding 360p". */
export function stepName(step: string): string {
  const plain = step.replace(/\bvideo-/g, "");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
