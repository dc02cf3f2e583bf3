/** What the pages change. */
import { request } from "./request";
import type { ClaimLink, Job, JobChange, PropertyChange, PropertyScope, PropertyState, Title, TitleDetails, Who } from "./types";

const title = (titleId: string) => `/v1/titles/${encodeURIComponent(titleId)}`;
const job = (jobId: string) => `/v1/jobs/${encodeURIComponent(jobId)}`;

export const claim = (token: string) => request<Who>("/v1/claims", { method: "POST", body: { token } });

export const signIn = (name: string, password: string) =>
  request<Who>("/v1/sessions", { method: "POST", body: { name, password } });

export const signOut = () => request("/v1/sessions/current", { method: "DELETE" });

export const setPassword = (name: string, password: string, current: string) =>
  request("/v1/account/password", { method: "PUT", body: { name, password, current } });

export const inviteViewer = () =>
  request<ClaimLink>("/v1/invitations", { method: "POST", body: { role: "viewer" } });

export const changeTitle = (titleId: string, details: Partial<TitleDetails>) =>
  request<Title>(title(titleId), { method: "PATCH", body: details });

export const withdrawTitle = (titleId: string) => request(title(titleId), { method: "DELETE" });

export const cancelJob = (jobId: string) => request(job(jobId), { method: "DELETE" });

export const changeJob = (jobId: string, change: JobChange) =>
  request<Job>(job(jobId), { method: "PATCH", body: change });

export const retryJob = (jobId: string) => request(`${job(jobId)}/retry`, { method: "POST" });

const property = (name: string) => `/v1/properties/${encodeURIComponent(name)}`;

/** `revision` is that of the state which the change is based on; somebody else's change in between refuses this one. */
export const setProperty = (name: string, change: PropertyChange, revision: number) =>
  request<PropertyState>(property(name), { method: "PUT", body: change, ifMatch: `"${revision}"` });

export const unsetProperty = (name: string, scope: PropertyScope, reason: string, revision: number) => {
  const { percent, ...parts } = scope;
  const search = new URLSearchParams({ ...parts, canary: String(percent < 100), reason });
  return request<PropertyState>(`${property(name)}?${search}`, { method: "DELETE", ifMatch: `"${revision}"` });
};

export const rollBackProperty = (entry: number, reason: string) =>
  request<PropertyState>(`/v1/properties/audit/${entry}/rollback`, { method: "POST", body: { reason } });

const instanceStatus = (service: string, instance: string) =>
  `/v1/registry/${encodeURIComponent(service)}/${encodeURIComponent(instance)}/status`;

export const overrideStatus = (service: string, instance: string, status: string) =>
  request(instanceStatus(service, instance), { method: "PUT", body: { status } });

export const restoreStatus = (service: string, instance: string) =>
  request(instanceStatus(service, instance), { method: "DELETE" });
