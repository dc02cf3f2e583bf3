"""Jobs in Sql: who works on what, how far it is, and whose turn is next.

A worker holds a job by a lease that it renews each second. A lease that has run out says that the worker died: the job is
free again, and a crash is counted. After three crashes without a finished step in between the job fails, so that a film
which kills its encoder does not do so for ever. The turn is: films that cannot be played yet first, then in order of
arrival, so several uploads become playable before the first one gets its highest rungs.
"""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import Conflict, Gone, NotFound
from kinema.core.ids import new_id
from kinema.core.properties import Property
from kinema.model.encoding import Job, JobState, RungProgress
from kinema.services.encoding.tables import jobs, uploads
from kinema.storage.content import content_key
from kinema.storage.ports import Blobs, Sql

PAUSED = Property(
    "encoding.paused",
    default=False,
    description="Whether workers begin no further job. The job at hand is finished; uploads still come in and wait.",
)

LEASE_SECONDS = 5.0
MOST_CRASHES = 3
_WORKING = ("queued", "running")


class LeaseLost(Conflict):
    """A job that this worker held belongs to another one now, because this one was silent for too long."""


class Work(msgspec.Struct, frozen=True):
    """A claimed job, as a worker needs it. `source` is the digest of the assembled film, None before that."""

    job_id: str
    title_id: str
    upload_id: str
    asset: str
    title: str
    source: str | None
    playable: bool
    seconds: float
    trace: str | None = None


class Report(msgspec.Struct, frozen=True):
    """What a worker writes with each heartbeat."""

    step: str
    progress: float
    eta_seconds: float | None
    rungs: tuple[RungProgress, ...]
    seconds: float


async def queue_job(connection: AsyncConnection, upload_id: str, title_id: str, title: str, clock: Clock) -> str:
    """Queue the job of a complete upload, inside the transaction that completes it; return the job's id."""
    job_id = new_id("job", clock)
    now = clock.now()
    row = {
        "job_id": job_id,
        "title_id": title_id,
        "upload_id": upload_id,
        "asset": new_id("ast", clock),
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
    }
    await connection.execute(sa.insert(jobs).values(row))
    return job_id


class Jobs:
    """Reads and writes jobs."""

    def __init__(self, sql: Sql, clock: Clock) -> None:
        self._sql = sql
        self._clock = clock

    # What people see and do.

    async def page(self, state: JobState | None, before: str | None, limit: int) -> list[Job]:
        """Return up to `limit` jobs, newest first, older than the job `before`."""
        query = sa.select(jobs).order_by(jobs.c.job_id.desc()).limit(limit)
        if state is not None:
            query = query.where(jobs.c.state == state)
        if before is not None:
            query = query.where(jobs.c.job_id < before)
        async with self._sql.read() as connection:
            return [_job(row) for row in await connection.execute(query)]

    async def get(self, job_id: str) -> Job:
        """Return a job. Raises NotFound."""
        async with self._sql.read() as connection:
            return _job(await _row(connection, job_id))

    async def mark(self) -> str:
        """Return a text that changes whenever any job does."""
        query = sa.select(sa.func.count(), sa.func.max(jobs.c.changed_at))
        async with self._sql.read() as connection:
            count, changed = (await connection.execute(query)).one()
        return f"{count}-{changed or 0:.6f}"

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; what it has published stays. A running one stops within about a second. Raises NotFound, Conflict."""
        async with self._sql.transaction() as connection:
            row = await _row(connection, job_id)
            if row.state not in _WORKING:
                raise Conflict(f"The job is {row.state} already; only a queued or running one can be cancelled.")
            values: dict[str, object] = {"cancel": True}
            if row.state == "queued" or row.lease_until <= self._clock.now():
                values |= _ended("cancelled", None)
            await self._change(connection, job_id, values)
            return _job(await _row(connection, job_id))

    async def retry(self, job_id: str, blobs: Blobs) -> Job:
        """Queue a failed or cancelled job again; finished steps are not repeated.

        Raises NotFound, Conflict when it is neither, and Gone when its film is no longer stored.
        """
        async with self._sql.read() as connection:
            row = await _row(connection, job_id)
            _require_ended(row.state)
            parts = await connection.scalar(
                sa.select(uploads.c.upload_id).where(
                    uploads.c.upload_id == row.upload_id, uploads.c.state == "complete"
                )
            )
        if row.source is not None:
            try:
                await blobs.size(content_key("sources", row.source))
            except NotFound as error:
                raise Gone("The film of this job is no longer stored; upload the file again.") from error
        elif parts is None:
            raise Gone("The film of this job is no longer stored; upload the file again.")
        async with self._sql.transaction() as connection:
            _require_ended((await _row(connection, job_id)).state)
            values = {
                "state": "queued",
                "step": "waiting",
                "error": None,
                "cancel": False,
                "crashes": 0,
                "worker": None,
            }
            await self._change(connection, job_id, values)
            return _job(await _row(connection, job_id))

    # What workers do.

    async def claim(self, worker: str) -> Work | None:
        """Take the job whose turn it is, or None. Jobs that were cancelled, or crashed too often, are ended on the way."""
        while await self._any_free():
            async with self._sql.transaction() as connection:
                now = self._clock.now()
                query = sa.select(jobs).where(_free(now)).order_by(jobs.c.playable, jobs.c.job_id).limit(1)
                row = (await connection.execute(query)).one_or_none()
                if row is None:
                    return None
                if row.cancel:
                    await self._change(connection, row.job_id, _ended("cancelled", None))
                    continue
                crashes = row.crashes + (1 if row.state == "running" else 0)
                if crashes >= MOST_CRASHES:
                    sentence = f"The encoder stopped {crashes} times at the step {row.step!r}; retry the job or send another file."
                    await self._change(connection, row.job_id, _ended("failed", sentence))
                    continue
                values = {"state": "running", "crashes": crashes, "worker": worker, "lease_until": now + LEASE_SECONDS}
                await self._change(connection, row.job_id, values)
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
                )

        return None

    async def beat(self, job_id: str, worker: str, report: Report) -> bool:
        """Renew the lease and write how far the work is; True when the job shall stop. Raises LeaseLost."""
        values = {
            "lease_until": self._clock.now() + LEASE_SECONDS,
            "step": report.step,
            "progress": report.progress,
            "eta_seconds": report.eta_seconds,
            "rungs": msgspec.json.encode(report.rungs).decode(),
            "seconds": report.seconds,
        }
        return bool((await self._own(job_id, worker, values)).cancel)

    async def step_finished(self, job_id: str, worker: str, **values: object) -> None:
        """Note that the work got further (crashes count anew), with column values to store. Raises LeaseLost."""
        await self._own(job_id, worker, {"crashes": 0, **values})

    async def end(self, job_id: str, worker: str, state: JobState, error: str | None = None) -> None:
        """Write the end of a job. Raises LeaseLost."""
        await self._own(job_id, worker, _ended(state, error) | ({"progress": 1.0} if state == "done" else {}))

    async def refuse(self, job_id: str, worker: str, error: str) -> str | None:
        """Write that a job failed because nothing can be made of its file. What has published a version keeps its film.

        Returns the digest of the film when its blob can go: no other job names it or is just putting a film together,
        which may be the same one. Raises LeaseLost.
        """
        async with self._sql.transaction() as connection:
            row = await _own_row(connection, job_id, worker)
            film = None if row.playable else row.source
            kept = {} if row.playable else {"source": None}
            await self._change(connection, job_id, _ended("failed", error) | kept)
            joining = sa.and_(jobs.c.state == "running", jobs.c.source.is_(None))
            others = sa.select(jobs.c.job_id).where(jobs.c.job_id != job_id, sa.or_(jobs.c.source == film, joining))
            return None if await connection.scalar(others.limit(1)) is not None else film

    async def give_back(self, job_id: str, worker: str, step: str) -> None:
        """Put a job back into the queue, because the worker stops or another film goes first. Raises LeaseLost."""
        values = {"state": "queued", "step": step, "worker": None, "lease_until": 0.0, "eta_seconds": None}
        await self._own(job_id, worker, values)

    async def unshared_source(self, job_id: str) -> str | None:
        """Return the digest of a job's film; None before it was assembled and while another job needs the same film."""
        async with self._sql.read() as connection:
            source = (await _row(connection, job_id)).source
            others = sa.select(jobs.c.job_id).where(
                jobs.c.source == source, jobs.c.job_id != job_id, jobs.c.state.in_(_WORKING)
            )
            return None if await connection.scalar(others.limit(1)) is not None else source

    async def others_wait(self) -> bool:
        """Whether a film that cannot be played yet is waiting for a worker."""
        query = sa.select(jobs.c.job_id).where(jobs.c.state == "queued", jobs.c.playable.is_(False)).limit(1)
        async with self._sql.read() as connection:
            return await connection.scalar(query) is not None

    async def _any_free(self) -> bool:
        query = sa.select(jobs.c.job_id).where(_free(self._clock.now())).limit(1)
        async with self._sql.read() as connection:
            return await connection.scalar(query) is not None

    async def _own(self, job_id: str, worker: str, values: Mapping[str, object]) -> sa.Row[tuple[object, ...]]:
        async with self._sql.transaction() as connection:
            row = await _own_row(connection, job_id, worker)
            await self._change(connection, job_id, values)
            return row

    async def _change(self, connection: AsyncConnection, job_id: str, values: Mapping[str, object]) -> None:
        # Strictly growing, so that the mark changes even when the clock stands still.
        latest = await connection.scalar(sa.select(sa.func.max(jobs.c.changed_at))) or 0.0
        changed = max(self._clock.now(), latest + 1e-6)
        await connection.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(**values, changed_at=changed))


def _trace() -> str | None:
    """Return the traceparent of the request at hand, if there is one."""
    context = tracing.current.get()
    if context is None or not context.span_id:
        return None
    return tracing.header(context.trace_id, context.span_id, sampled=context.sampled).decode()


def _require_ended(state: str) -> None:
    if state not in {"failed", "cancelled"}:
        raise Conflict(f"The job is {state}; only a failed or cancelled one can be retried.")


def _free(now: float) -> sa.ColumnElement[bool]:
    return sa.or_(jobs.c.state == "queued", sa.and_(jobs.c.state == "running", jobs.c.lease_until <= now))


def _ended(state: JobState, error: str | None) -> dict[str, object]:
    return {
        "state": state,
        "step": state,
        "error": error,
        "worker": None,
        "lease_until": 0.0,
        "eta_seconds": None,
    }


async def _row(connection: AsyncConnection, job_id: str) -> sa.Row[tuple[object, ...]]:
    row = (await connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id[:60]!r}.")
    return row


async def _own_row(connection: AsyncConnection, job_id: str, worker: str) -> sa.Row[tuple[object, ...]]:
    row = await _row(connection, job_id)
    if row.worker != worker or row.state != "running":
        raise LeaseLost("Another worker has taken this job over.")
    return row


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
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
    )
