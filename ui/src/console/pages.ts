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
    path: "map",
    label: "Service map",
    Page: lazy(async () => ({ default: (await import("./observe/MapPage")).MapPage })),
  },
  {
    path: "services",
    label: "Services",
    Page: lazy(async () => ({ default: (await import("./observe/ServicesPage")).ServicesPage })),
  },
  {
    path: "traces",
    label: "Traces",
    Page: lazy(async () => ({ default: (await import("./observe/TracesPage")).TracesPage })),
  },
  {
    path: "resilience",
    label: "Resilience",
    Page: lazy(async () => ({ default: (await import("./observe/ResiliencePage")).ResiliencePage })),
  },
  {
    path: "instances",
    label: "Instances",
    Page: lazy(async () => ({ default: (await import("./observe/InstancesPage")).InstancesPage })),
  },
  {
    path: "processes",
    label: "Processes",
    Page: lazy(async () => ({ default: (await import("./observe/ProcessesPage")).ProcessesPage })),
  },
  {
    path: "objectives",
    label: "Objectives",
    Page: lazy(async () => ({ default: (await import("./observe/ObjectivesPage")).ObjectivesPage })),
  },
  {
    path: "encoding",
    label: "Encoding",
    Page: lazy(async () => ({ default: (await import("./encoding/EncodingPage")).EncodingPage })),
  },
  {
    path: "properties",
    label: "Properties",
    Page: lazy(async () => ({ default: (await import("./properties/PropertiesPage")).PropertiesPage })),
  },
];
