import { useEffect, useState } from "react";

import type { Preview } from "./preview";

/** The picture for where the pointer is; the last one stays until the next has been found. */
export function usePreview(seconds: number | null, find: (seconds: number) => Promise<Preview | null>): Preview | null {
  const [preview, setPreview] = useState<Preview | null>(null);
  const whole = seconds === null ? null : Math.floor(seconds);

  useEffect(() => {
    if (whole === null) return undefined;
    let current = true;
    find(whole)
      .then((found) => current && setPreview(found))
      .catch(() => undefined);
    return () => {
      current = false;
    };
  }, [whole, find]);

  return preview;
}
