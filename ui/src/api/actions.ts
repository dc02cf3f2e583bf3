/** What the pages change. */
import { request } from "./request";
import type { ClaimLink, Title, TitleDetails, Who } from "./types";

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

export const retryJob = (jobId: string) => request(`${job(jobId)}/retry`, { method: "POST" });
