"""Jobs in Sql: who works on what, how far it is, and what people want of them.

A worker holds a job by a lease that it renews each second. A lease that has run out says that the worker died: the job is
free again, and a crash is counted. After three crashes without a finished step in between the job fails, so that a film
which kills its encoder does not do so for ever. Wishes to stop (cancel, pause) are flags that the heartbeat brings home; a
job whose worker dies before it heard of them is stopped when somebody would take it up. Whose turn it is stands in `job_rows`.
"""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.clock import Clock
from kinema.core.errors import Conflict, Gone, NotFound
from kinema.core.properties import Property
from kinema.model.encoding import Job, JobChange, JobState, RungProgress
from kinema.services.encoding import job_rows as rows
from kinema.services.encoding.job_rows import UNFINISHED, AnyRow, Work
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


class Wishes(msgspec.Struct, frozen=True):
    """What people want of a running job, and whether one that goes before it waits for a worker."""

    cancel: bool
    pause: bool
    most_cpu_seconds: float | None
    others_wait: bool


class Report(msgspec.Struct, frozen=True):
    """What a worker writes with each heartbeat."""

    step: str
    progress: float
    eta_seconds: float | None
    rungs: tuple[RungProgress, ...]
    seconds: float
    cpu_seconds: float = 0.0


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
            return [rows.shown(row) for row in await connection.execute(query)]

    async def get(self, job_id: str) -> Job:
        """Return a job. Raises NotFound."""
        async with self._sql.read() as connection:
            return rows.shown(await rows.job_row(connection, job_id))

    async def mark(self) -> str:
        """Return a text that changes whenever any job does."""
        query = sa.select(sa.func.count(), sa.func.max(jobs.c.changed_at))
        async with self._sql.read() as connection:
            count, changed = (await connection.execute(query)).one()
        return f"{count}-{changed or 0:.6f}"

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; what it has published stays. A running one stops within about a second. Raises NotFound, Conflict."""
        async with self._sql.transaction() as connection:
            row = await rows.job_row(connection, job_id)
            if row.state not in UNFINISHED:
                raise Conflict(f"The job is {row.state} already; only one that has not ended can be cancelled.")
            values: dict[str, object] = {"cancel": True}
            if row.state != "running" or row.lease_until <= self._clock.now():
                values |= rows.ended("cancelled", None)
            await self._change(connection, job_id, values)
            return rows.shown(await rows.job_row(connection, job_id))

    async def change(self, job_id: str, wanted: JobChange) -> Job:
        """Change a job's priority or limit, pause it or let it go on. Raises NotFound, and Conflict when it has ended."""
        async with self._sql.transaction() as connection:
            row = await rows.job_row(connection, job_id)
            if row.state not in UNFINISHED:
                raise Conflict(f"The job is {row.state} already; only one that has not ended can be changed.")
            values: dict[str, object] = {}
            if wanted.priority is not msgspec.UNSET:
                values["priority"] = rows.PRIORITIES.index(wanted.priority)
            if wanted.most_cpu_seconds is not msgspec.UNSET:
                values["most_cpu_seconds"] = wanted.most_cpu_seconds
            if wanted.paused is not msgspec.UNSET:
                values |= self._paused(row, wanted.paused)
            await self._change(connection, job_id, values)
            return rows.shown(await rows.job_row(connection, job_id))

    def _paused(self, row: AnyRow, wanted: bool) -> dict[str, object]:
        if wanted and row.state == "queued":
            return rows.ended("paused", None)
        if not wanted and row.state == "paused":
            return rows.QUEUED
        return {"pause": wanted}

    async def retry(self, job_id: str, blobs: Blobs) -> Job:
        """Queue a failed or cancelled job again; finished steps are not repeated.

        Raises NotFound, Conflict when it is neither, and Gone when its film is no longer stored.
        """
        async with self._sql.read() as connection:
            row = await rows.job_row(connection, job_id)
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
            _require_ended((await rows.job_row(connection, job_id)).state)
            await self._change(connection, job_id, rows.QUEUED | {"crashes": 0, "worker": None})
            return rows.shown(await rows.job_row(connection, job_id))

    # What workers do.

    async def claim(self, worker: str) -> Work | None:
        """Take the job whose turn it is, or None. Jobs that were cancelled or paused, or crashed too often, are ended on the way."""
        while await self._any_free():
            async with self._sql.transaction() as connection:
                now = self._clock.now()
                query = sa.select(jobs).where(rows.free(now)).order_by(*rows.by_turn()).limit(1)
                row = (await connection.execute(query)).one_or_none()
                if row is None:
                    return None
                if row.cancel:
                    await self._change(connection, row.job_id, rows.ended("cancelled", None))
                    continue
                if row.pause:
                    await self._change(connection, row.job_id, rows.ended("paused", None) | {"pause": False})
                    continue
                crashes = row.crashes + (1 if row.state == "running" else 0)
                if crashes >= MOST_CRASHES:
                    sentence = f"The encoder stopped {crashes} times at the step {row.step!r}; retry the job or send another file."
                    await self._change(connection, row.job_id, rows.ended("failed", sentence))
                    continue
                values = {"state": "running", "crashes": crashes, "worker": worker, "lease_until": now + LEASE_SECONDS}
                await self._change(connection, row.job_id, values)
                return rows.work_of(row)
        return None

    async def beat(self, job_id: str, worker: str, report: Report) -> Wishes:
        """Renew the lease, write how far the work is, and return what people want of it. Raises LeaseLost."""
        values = {
            "lease_until": self._clock.now() + LEASE_SECONDS,
            "step": report.step,
            "progress": report.progress,
            "eta_seconds": report.eta_seconds,
            "rungs": msgspec.json.encode(report.rungs).decode(),
            "seconds": report.seconds,
            "cpu_seconds": report.cpu_seconds,
        }
        row = await self._own(job_id, worker, values)
        waiting = await self.others_wait(job_id)
        return Wishes(row.cancel, row.pause, row.most_cpu_seconds, waiting)

    async def step_finished(self, job_id: str, worker: str, **values: object) -> None:
        """Note that the work got further (crashes count anew), with column values to store. Raises LeaseLost."""
        await self._own(job_id, worker, {"crashes": 0, **values})

    async def end(self, job_id: str, worker: str, state: JobState, error: str | None = None) -> None:
        """Write the end of a job. Raises LeaseLost."""
        await self._own(job_id, worker, rows.ended(state, error) | ({"progress": 1.0} if state == "done" else {}))

    async def pause(self, job_id: str, worker: str, why: str | None = None) -> None:
        """Write that a job rests until somebody lets it go on. Raises LeaseLost."""
        await self._own(job_id, worker, rows.ended("paused", why) | {"pause": False})

    async def refuse(self, job_id: str, worker: str, error: str) -> str | None:
        """Write that a job failed because nothing can be made of its file. What has published a version keeps its film.

        Returns the digest of the film when its blob can go: no other job names it or is just putting a film together,
        which may be the same one. Raises LeaseLost.
        """
        async with self._sql.transaction() as connection:
            row = await rows.own_row(connection, job_id, worker)
            film = None if row.playable else row.source
            kept = {} if row.playable else {"source": None}
            await self._change(connection, job_id, rows.ended("failed", error) | kept)
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
            source = (await rows.job_row(connection, job_id)).source
            others = sa.select(jobs.c.job_id).where(
                jobs.c.source == source, jobs.c.job_id != job_id, jobs.c.state.in_(UNFINISHED)
            )
            return None if await connection.scalar(others.limit(1)) is not None else source

    async def others_wait(self, job_id: str) -> bool:
        """Whether a job that goes before this one is waiting for a worker. Raises NotFound."""
        async with self._sql.read() as connection:
            row = await rows.job_row(connection, job_id)
            query = sa.select(jobs.c.job_id).where(jobs.c.state == "queued", rows.before(row)).limit(1)
            return await connection.scalar(query) is not None

    async def _any_free(self) -> bool:
        query = sa.select(jobs.c.job_id).where(rows.free(self._clock.now())).limit(1)
        async with self._sql.read() as connection:
            return await connection.scalar(query) is not None

    async def _own(self, job_id: str, worker: str, values: Mapping[str, object]) -> AnyRow:
        async with self._sql.transaction() as connection:
            row = await rows.own_row(connection, job_id, worker)
            await self._change(connection, job_id, values)
            return row

    async def _change(self, connection: AsyncConnection, job_id: str, values: Mapping[str, object]) -> None:
        # Strictly growing, so that the mark changes even when the clock stands still.
        latest = await connection.scalar(sa.select(sa.func.max(jobs.c.changed_at))) or 0.0
        changed = max(self._clock.now(), latest + 1e-6)
        await connection.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(**values, changed_at=changed))


def _require_ended(state: str) -> None:
    if state not in {"failed", "cancelled"}:
        raise Conflict(f"The job is {state}; only a failed or cancelled one can be retried.")
