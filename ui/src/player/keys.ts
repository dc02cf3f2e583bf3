/** What the keys of the player do. */

export type Action =
  | { do: "toggle-play" }
  | { do: "seek-by"; seconds: number }
  | { do: "seek-to"; share: number }
  | { do: "volume-by"; step: number }
  | { do: "mute" }
  | { do: "full-screen" }
  | { do: "help" }
  | { do: "leave" };

export interface KeyPress {
  key: string;
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
}

const actions: Record<string, Action> = {
  " ": { do: "toggle-play" },
  k: { do: "toggle-play" },
  MediaPlayPause: { do: "toggle-play" },
  j: { do: "seek-by", seconds: -10 },
  l: { do: "seek-by", seconds: 10 },
  ArrowLeft: { do: "seek-by", seconds: -5 },
  ArrowRight: { do: "seek-by", seconds: 5 },
  ArrowUp: { do: "volume-by", step: 0.1 },
  ArrowDown: { do: "volume-by", step: -0.1 },
  m: { do: "mute" },
  f: { do: "full-screen" },
  "?": { do: "help" },
  Escape: { do: "leave" },
  BrowserBack: { do: "leave" },
};

/** The rows of the help panel. */
export const keyHelp: readonly (readonly [string, string])[] = [
  ["Space or K", "Play or pause"],
  ["← →", "5 seconds back or on"],
  ["J L", "10 seconds back or on"],
  ["0 to 9", "Go to 0 % to 90 %"],
  ["↑ ↓", "Volume"],
  ["M", "Sound off or on"],
  ["F", "Full screen"],
  ["?", "These keys"],
  ["Esc", "Back"],
];

/** The action of a key press, or null when the key is not the player's. */
export function actionOf(press: KeyPress): Action | null {
  if (press.altKey || press.ctrlKey || press.metaKey) return null;
  if (/^[0-9]$/.test(press.key)) return { do: "seek-to", share: Number(press.key) / 10 };
  return actions[press.key.length === 1 ? press.key.toLowerCase() : press.key] ?? null;
}
