/** What travels between the region and this app, as the services' own API documents say it. */
import type { components as Catalog } from "./generated/catalog";
import type { components as Configuration } from "./generated/configuration";
import type { components as Discovery } from "./generated/discovery";
import type { components as Encoding } from "./generated/encoding";
import type { components as Members } from "./generated/members";
import type { components as Playback } from "./generated/playback";
import type { components as Telemetry } from "./generated/telemetry";

export type Home = Catalog["schemas"]["Home"];
export type Row = Catalog["schemas"]["Row"];
export type Title = Catalog["schemas"]["Title"];
export type TitleDetails = Catalog["schemas"]["TitleDetails"];
export type TitlePage = Catalog["schemas"]["TitlePage"];
export type Withdrawal = Catalog["schemas"]["Withdrawal"];
export type Withdrawals = Catalog["schemas"]["Withdrawals"];

export type AuditEntry = Configuration["schemas"]["AuditEntry"];
export type AuditPage = Configuration["schemas"]["AuditPage"];
export type PropertyChange = Configuration["schemas"]["PropertyChange"];
export type PropertyList = Configuration["schemas"]["PropertyList"];
export type PropertyState = Configuration["schemas"]["PropertyState"];
export type PropertyScope = Configuration["schemas"]["Scope"];
export type SetOverride = Configuration["schemas"]["SetOverride"];

export type LeaseState = Discovery["schemas"]["LeaseState"];
export type RegistryState = Discovery["schemas"]["RegistryState"];

export type Backfill = Encoding["schemas"]["Backfill"];
export type Backfills = Encoding["schemas"]["Backfills"];
export type EncodingReport = Encoding["schemas"]["EncodingReport"];
export type RungReport = Encoding["schemas"]["RungReport"];
export type ShotReport = Encoding["schemas"]["ShotReport"];
export type Job = Encoding["schemas"]["Job"];
export type JobChange = Encoding["schemas"]["JobChange"];
export type JobPage = Encoding["schemas"]["JobPage"];
export type RungProgress = Encoding["schemas"]["RungProgress"];

export type ClaimLink = Members["schemas"]["ClaimLink"];
export type Who = Members["schemas"]["Who"];

export type Play = Playback["schemas"]["Play"];

export type LogLine = Telemetry["schemas"]["LogLine"];
export type ObjectiveState = Telemetry["schemas"]["ObjectiveState"];
export type Objectives = Telemetry["schemas"]["Objectives"];
export type PoolUsage = Telemetry["schemas"]["PoolUsage"];
export type Processes = Telemetry["schemas"]["Processes"];
export type ProcessState = Telemetry["schemas"]["ProcessState"];
export type Resilience = Telemetry["schemas"]["Resilience"];
export type RouteSeries = Telemetry["schemas"]["RouteSeries"];
export type ServiceEdge = Telemetry["schemas"]["ServiceEdge"];
export type ServiceMap = Telemetry["schemas"]["ServiceMap"];
export type ServiceNode = Telemetry["schemas"]["ServiceNode"];
export type ServiceSeries = Telemetry["schemas"]["ServiceSeries"];
export type Span = Telemetry["schemas"]["Span"];
export type Trace = Telemetry["schemas"]["Trace"];
export type TraceList = Telemetry["schemas"]["TraceList"];
export type TraceSummary = Telemetry["schemas"]["TraceSummary"];
