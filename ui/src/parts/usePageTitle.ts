import { useEffect } from "react";

/** Names the page: in the browser's tab, and to assistive tools through the announcer of the shell. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = title === "" ? "Kinema" : `${title} · Kinema`;
    const announcer = document.getElementById("announcer");
    if (announcer && title !== "") announcer.textContent = title;
  }, [title]);
}
