"""Rows of jobs: how one is queued, which ones are free, in which order they are taken, and how one is shown.

The turn is: by priority (a premiere, then the normal ones, then the background, which is backfills); in a priority films
that cannot be played yet first, so that several uploads become playable before the first one gets its highest rungs; then
what is watched most; then in order of arrival.
"""

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import Conflict, NotFound
from kinema.core.ids import new_id
from kinema.model.encoding import Job, JobPriority, JobState, RungProgress
from kinema.services.encoding.tables import jobs

PRIORITIES: tuple[JobPriority, ...] = ("premiere", "normal", "background")
"""In the order in which they go; a row holds the index."""

UNFINISHED: tuple[JobState, ...] = ("queued", "running", "paused")

AnyRow = sa.Row[tuple[object, ...]]


class LeaseLost(Conflict):
    """A job that this worker held belongs to another one now, because this one was silent for too long."""


class Work(msgspec.Struct, frozen=True):
    """A claimed job, as a worker needs it. `source` is the digest of the assembled film, None before that.

    `codec` is what a backfill adds to the title's `asset`; empty: the job makes a whole film.
    """

    job_id: str
    title_id: str
    upload_id: str
    asset: str
    title: str
    source: str | None
    playable: bool
    seconds: float
    trace: str | None = None
    cpu_seconds: float = 0.0
    codec: str = ""


async def queue_job(connection: AsyncConnection, upload_id: str, title_id: str, title: str, clock: Clock) -> str:
    """Queue the job of a complete upload, inside the transaction that completes it; return the job's id."""
    row = new_row(title_id, upload_id, new_id("ast", clock), title, clock)
    await connection.execute(sa.insert(jobs).values(row))
    return str(row["job_id"])


def new_row(title_id: str, upload_id: str, asset: str, title: str, clock: Clock) -> dict[str, object]:
    """Return the row of a job that waits for its first step."""
    now = clock.now()
    return {
        "job_id": new_id("job", clock),
        "title_id": title_id,
        "upload_id": upload_id,
        "asset": asset,
        "title": title,
        "state": "queued",
        "playable": False,
        "step": "waiting",
        "progress": 0.0,
        "rungs": "[]",
        "cancel": False,
        "crashes": 0,
        "lease_until": 0.0,
        "created_at": now,
        "changed_at": now,
        "seconds": 0.0,
        "trace": _trace(),
        "priority": PRIORITIES.index("normal"),
        "popularity": 0.0,
        "pause": False,
        "cpu_seconds": 0.0,
        "codec": "",
        "before_bytes": 0,
        "saved_bytes": 0,
    }


def _trace() -> str | None:
    """Return the traceparent of the request at hand, if there is one."""
    context = tracing.current.get()
    if context is None or not context.span_id:
        return None
    return tracing.header(context.trace_id, context.span_id, sampled=context.sampled).decode()


def free(now: float) -> sa.ColumnElement[bool]:
    """Return the condition on jobs that wait for a worker, or have lost theirs."""
    return sa.or_(jobs.c.state == "queued", sa.and_(jobs.c.state == "running", jobs.c.lease_until <= now))


def by_turn() -> tuple[sa.ColumnElement[object], ...]:
    """Return the order in which free jobs are taken."""
    return (jobs.c.priority, jobs.c.playable, jobs.c.popularity.desc(), jobs.c.job_id)


def before(row: AnyRow) -> sa.ColumnElement[bool]:
    """Return the condition on jobs that go before this one, however long it has been at work."""
    sooner: sa.ColumnElement[bool] = jobs.c.priority < row.priority
    if not row.playable:
        return sooner
    return sa.or_(sooner, sa.and_(jobs.c.priority == row.priority, jobs.c.playable.is_(sa.false())))


def ended(state: JobState, error: str | None) -> dict[str, object]:
    """Return the values of a job that nobody works on any more."""
    return {
        "state": state,
        "step": state,
        "error": error,
        "worker": None,
        "lease_until": 0.0,
        "eta_seconds": None,
    }


QUEUED: dict[str, object] = {"state": "queued", "step": "waiting", "error": None, "cancel": False, "pause": False}
"""The values of a job that waits again."""


async def job_row(connection: AsyncConnection, job_id: str) -> AnyRow:
    """Return a job's row. Raises NotFound."""
    row = (await connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id[:60]!r}.")
    return row


async def own_row(connection: AsyncConnection, job_id: str, worker: str) -> AnyRow:
    """Return the row of a job that this worker holds. Raises LeaseLost."""
    row = await job_row(connection, job_id)
    if row.worker != worker or row.state != "running":
        raise LeaseLost("Another worker has taken this job over.")
    return row


def shown(row: AnyRow) -> Job:
    """Return a job as people see it."""
    return Job(
        id=row.job_id,
        title_id=row.title_id,
        upload_id=row.upload_id,
        title=row.title,
        state=row.state,
        step=row.step,
        progress=row.progress,
        rungs=msgspec.json.decode(row.rungs, type=tuple[RungProgress, ...]),
        created_at=row.created_at,
        seconds=row.seconds,
        eta_seconds=row.eta_seconds,
        error=row.error,
        priority=PRIORITIES[row.priority],
        cpu_seconds=row.cpu_seconds,
        most_cpu_seconds=row.most_cpu_seconds,
        codec=row.codec,
    )


def work_of(row: AnyRow) -> Work:
    """Return a job as a worker needs it."""
    return Work(
        job_id=row.job_id,
        title_id=row.title_id,
        upload_id=row.upload_id,
        asset=row.asset,
        title=row.title,
        source=row.source,
        playable=row.playable,
        seconds=row.seconds,
        trace=row.trace,
        cpu_seconds=row.cpu_seconds,
        codec=row.codec,
    )
