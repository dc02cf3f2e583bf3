/** What travels between the region and this app. */

export interface RungFact {
  name: string;
  width: number;
  height: number;
  codec: string;
  average_bandwidth: number;
}

export interface Title {
  title_id: string;
  title: string;
  synopsis: string;
  year: number | null;
  genres: string[];
  shelf: string;
  credits: string;
  asset: string;
  manifest_version: number;
  duration_seconds: number;
  rungs: RungFact[];
  complete: boolean;
  poster: string;
  billboard: string;
  published_at: string;
}

export interface TitlePage {
  titles: Title[];
  next_cursor: string | null;
}

export interface Row {
  name: string;
  titles: Title[];
}

export interface Home {
  version: number;
  billboard: Title | null;
  rows: Row[];
}

export interface TitleDetails {
  title: string;
  synopsis: string;
  year: number | null;
  genres: string[];
  shelf: string;
  credits: string;
}

export interface RungProgress {
  name: string;
  state: "waiting" | "encoding" | "published" | "failed";
  progress: number;
}

export interface Job {
  id: string;
  title_id: string;
  upload_id: string;
  title: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  step: string;
  progress: number;
  rungs: RungProgress[];
  created_at: number;
  seconds: number;
  eta_seconds: number | null;
  error: string | null;
}

export interface JobPage {
  jobs: Job[];
  next_cursor: string | null;
}

export interface Who {
  account: string;
  role: "viewer" | "operator";
  session: string;
  name: string;
}

export interface ClaimLink {
  path: string;
  expires_at: string;
}

export interface Play {
  play_id: string;
  title_id: string;
  version: number;
  manifest: { hls: string; dash: string };
  expires_at: string;
  renew_after_seconds: number;
}
