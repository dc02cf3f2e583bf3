import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { cancelJob, changeJob, retryJob } from "../api/actions";
import { jobsQuery } from "../api/queries";
import type { Job, JobChange, RungProgress } from "../api/types";
import { duration, percent, rungName, stepName, timeLeft } from "../format";
import { Fault } from "../parts/Fault";
import { Icon } from "../parts/Icon";
import { Meter } from "../parts/Meter";
import buttons from "../parts/button.module.css";
import styles from "./jobs.module.css";

/** One line that says how it stands. */
function standing(job: Job): string {
  if (job.state === "running") return [stepName(job.step), timeLeft(job.eta_seconds)].filter(Boolean).join(" · ");
  if (job.state === "queued") return job.priority === "premiere" ? "Next in turn" : "Waiting for its turn";
  if (job.state === "paused") return "Paused";
  if (job.state === "done") return `Ready, made in ${duration(job.seconds)}`;
  return job.state === "cancelled" ? "Cancelled" : "Failed";
}

export function JobRow({ job }: { job: Job }) {
  const client = useQueryClient();
  const reload = () => client.invalidateQueries({ queryKey: jobsQuery.queryKey });
  const cancelling = useMutation({ mutationFn: cancelJob, onSuccess: reload });
  const retrying = useMutation({ mutationFn: retryJob, onSuccess: reload });
  const changing = useMutation({ mutationFn: (change: JobChange) => changeJob(job.id, change), onSuccess: reload });
  const active = job.state === "running" || job.state === "queued" || job.state === "paused";
  const playable = job.state === "done" || job.rungs.some((rung) => rung.state === "published");
  return (
    <li className={styles.job} data-testid="job-row" data-state={job.state} data-title-id={job.title_id}>
      <h3 className={styles.title}>{job.title}</h3>
      {job.state === "running" && <p className={styles.percent}>{percent(job.progress)}</p>}
      {active && <Meter label={`${job.title}: progress`} value={job.progress} tone="teal" />}
      <p className={styles.standing} data-testid="job-standing">
        {standing(job)}
      </p>
      {active && job.rungs.length > 0 && (
        <ul className={styles.rungs} aria-label="Qualities">
          {job.rungs.map((rung) => (
            <Rung key={rung.name} rung={rung} />
          ))}
        </ul>
      )}
      {job.error && (
        <p className={styles.error} data-testid="job-error">
          {job.error}
        </p>
      )}
      <Fault error={cancelling.error ?? changing.error ?? retrying.error} />
      <div className={styles.actions}>
        {playable && (
          <Link to="/titles/$titleId" params={{ titleId: job.title_id }} className={buttons.button}>
            Look at it<span className="unseen">: {job.title}</span>
          </Link>
        )}
        {active && (
          <button
            type="button"
            className={buttons.quiet}
            onClick={() => changing.mutate({ paused: job.state !== "paused" })}
            disabled={changing.isPending}
            data-testid="job-pause"
          >
            {job.state === "paused" ? "Go on" : "Pause"}
            <span className="unseen"> {job.title}</span>
          </button>
        )}
        {active && job.priority !== "premiere" && (
          <button
            type="button"
            className={buttons.quiet}
            onClick={() => changing.mutate({ priority: "premiere" })}
            disabled={changing.isPending}
            data-testid="job-premiere"
          >
            Do it first<span className="unseen">: {job.title}</span>
          </button>
        )}
        {active && (
          <button
            type="button"
            className={buttons.quiet}
            onClick={() => cancelling.mutate(job.id)}
            disabled={cancelling.isPending}
            data-testid="job-cancel"
          >
            Cancel<span className="unseen"> {job.title}</span>
          </button>
        )}
        {(job.state === "failed" || job.state === "cancelled") && (
          <button
            type="button"
            className={buttons.button}
            onClick={() => retrying.mutate(job.id)}
            disabled={retrying.isPending}
            data-testid="job-retry"
          >
            Try again<span className="unseen"> {job.title}</span>
          </button>
        )}
      </div>
    </li>
  );
}

function Rung({ rung }: { rung: RungProgress }) {
  const name = rungName(rung.name);
  const share = rung.state === "published" ? 1 : rung.progress;
  return (
    <li className={styles.rung} data-testid="job-rung" data-state={rung.state}>
      <span className={styles.rungName}>
        {name}
        {rung.state === "published" && <Icon name="check" size={16} />}
        {rung.state === "failed" && <Icon name="close" size={16} />}
        <span className="unseen"> {rung.state}</span>
      </span>
      <Meter label={`${name}: progress`} value={share} tone={rung.state === "published" ? "light" : "teal"} />
    </li>
  );
}
