import { useQuery } from "@tanstack/react-query";

import { jobsQuery } from "../api/queries";
import type { Job } from "../api/types";
import { JobRow } from "./JobRow";
import styles from "./jobs.module.css";

const rank: Record<Job["state"], number> = { running: 0, queued: 1, paused: 2, failed: 3, cancelled: 4, done: 5 };
const SHOWN_FINISHED = 12;

/** What the region is doing with the films, what it has done and what it could not do. */
export function JobList() {
  const { data: jobs = [] } = useQuery(jobsQuery);
  const ordered = [...jobs].sort((a, b) => rank[a.state] - rank[b.state] || b.created_at - a.created_at);
  const active = ordered.filter((job) => rank[job.state] <= rank.paused);
  const finished = ordered.filter((job) => rank[job.state] > rank.paused).slice(0, SHOWN_FINISHED);
  return (
    <section aria-labelledby="jobs-heading" className={styles.jobs}>
      <h2 id="jobs-heading">In the making</h2>
      {jobs.length === 0 && <p className={styles.none}>Nothing is being encoded. A film that you add appears here.</p>}
      <ul className={styles.list} data-testid="job-list">
        {[...active, ...finished].map((job) => (
          <JobRow key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}
