/** What travels between the region and this app, as the services' own API documents say it. */
import type { components as Catalog } from "./generated/catalog";
import type { components as Configuration } from "./generated/configuration";
import type { components as Encoding } from "./generated/encoding";
import type { components as Members } from "./generated/members";
import type { components as Playback } from "./generated/playback";

export type Home = Catalog["schemas"]["Home"];
export type Row = Catalog["schemas"]["Row"];
export type Title = Catalog["schemas"]["Title"];
export type TitleDetails = Catalog["schemas"]["TitleDetails"];
export type TitlePage = Catalog["schemas"]["TitlePage"];

export type AuditEntry = Configuration["schemas"]["AuditEntry"];
export type AuditPage = Configuration["schemas"]["AuditPage"];
export type PropertyChange = Configuration["schemas"]["PropertyChange"];
export type PropertyList = Configuration["schemas"]["PropertyList"];
export type PropertyState = Configuration["schemas"]["PropertyState"];
export type PropertyScope = Configuration["schemas"]["Scope"];
export type SetOverride = Configuration["schemas"]["SetOverride"];

export type Job = Encoding["schemas"]["Job"];
export type JobPage = Encoding["schemas"]["JobPage"];
export type RungProgress = Encoding["schemas"]["RungProgress"];

export type ClaimLink = Members["schemas"]["ClaimLink"];
export type Who = Members["schemas"]["Who"];

export type Play = Playback["schemas"]["Play"];
