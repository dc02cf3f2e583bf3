/** The pages of the console, in the order of its navigation: one row each, loaded when somebody goes there. */
import { lazy, type ComponentType } from "react";

/** `item` is what follows the page's own part of the address, as in /console/traces/{item}; "" when nothing does. */
export interface ConsolePageProps {
  item: string;
}

export interface ConsolePageRow {
  path: string;
  label: string;
  Page: ComponentType<ConsolePageProps>;
}

export const consolePages: readonly ConsolePageRow[] = [
  {
    path: "properties",
    label: "Properties",
    Page: lazy(async () => ({ default: (await import("./properties/PropertiesPage")).PropertiesPage })),
  },
];
