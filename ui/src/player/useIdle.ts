import { useEffect, useState, type RefObject } from "react";

const IDLE_MS = 2800;

/** True when nobody has moved a pointer, touched or pressed a key over `area` for a while. */
export function useIdle(area: RefObject<HTMLElement | null>): boolean {
  const [idle, setIdle] = useState(false);

  useEffect(() => {
    const element = area.current;
    if (!element) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stir = () => {
      clearTimeout(timer);
      setIdle(false);
      timer = setTimeout(() => setIdle(true), IDLE_MS);
    };
    stir();
    for (const name of ["pointermove", "pointerdown"]) element.addEventListener(name, stir);
    document.addEventListener("keydown", stir);
    return () => {
      clearTimeout(timer);
      for (const name of ["pointermove", "pointerdown"]) element.removeEventListener(name, stir);
      document.removeEventListener("keydown", stir);
    };
  }, [area]);

  return idle;
}
