import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { jobsQuery } from "../api/queries";
import { percent, stepName, timeLeft } from "../format";
import { Meter } from "../parts/Meter";
import styles from "./making.module.css";

const SHOWN = 3;

/** What is being encoded right now, for operators: calm, in the order in which it will be ready. */
export function InTheMaking() {
  const { data: jobs = [] } = useQuery(jobsQuery);
  const active = jobs.filter((job) => job.state === "running" || job.state === "queued");
  if (active.length === 0) return null;
  const order = [...active].sort(
    (a, b) => Number(b.state === "running") - Number(a.state === "running") || a.created_at - b.created_at,
  );
  const rest = active.length - SHOWN;
  return (
    <section className={styles.making} aria-labelledby="making-heading" data-testid="in-the-making">
      <h2 id="making-heading" className={styles.heading}>
        In the making
      </h2>
      <ul className={styles.jobs}>
        {order.slice(0, SHOWN).map((job) => (
          <li key={job.id} className={styles.job}>
            <span className={styles.title}>{job.title}</span>
            <span className={styles.percent}>{job.state === "queued" ? "" : percent(job.progress)}</span>
            <Meter label={`${job.title}: progress`} value={job.progress} tone="teal" />
            <span className={styles.step}>
              {job.state === "queued"
                ? "Waiting for its turn"
                : [stepName(job.step), timeLeft(job.eta_seconds)].filter(Boolean).join(" · ")}
            </span>
          </li>
        ))}
      </ul>
      <p className={styles.rest} data-nav-row>
        <Link to="/studio">{rest > 0 ? `${rest} more in the studio` : "Open the studio"}</Link>
      </p>
    </section>
  );
}
