"""The worker: takes jobs one after the other and makes films of uploads. Any number of workers may run.

A worker may be killed at any moment. What it had finished is in the ledger, its lease runs out, and whoever takes the job
next goes on behind the last finished step. It stops at once when it loses its lease, so two never publish one job.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from kinema.core import log
from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, NotFound, StorageFull, Unavailable
from kinema.core.keys import KeyRing
from kinema.core.metrics import Metrics
from kinema.core.properties import Properties
from kinema.core.spans import Spans
from kinema.model.catalog import Recall
from kinema.model.encoding import Track
from kinema.services.encoding.execution.engines import open_executor
from kinema.services.encoding.execution.machine import this_machine
from kinema.services.encoding.execution.work import Context
from kinema.services.encoding.flow.making import Making
from kinema.services.encoding.flow.plan import PER_SHOT
from kinema.services.encoding.flow.progress import Progress
from kinema.services.encoding.flow.reports import Reports
from kinema.services.encoding.inspection import Unusable
from kinema.services.encoding.job_rows import LeaseLost, Work
from kinema.services.encoding.jobs import LEASE_SECONDS, PAUSED, Jobs
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.observing import SERVICE, StepRecords
from kinema.services.encoding.packaging.extras import Extras
from kinema.services.encoding.pipeline import Pipeline
from kinema.services.encoding.protection.encryption import PROTECTED, Encryption
from kinema.services.encoding.protection.keys import KeyStore
from kinema.services.encoding.publisher import Announce, Publisher
from kinema.services.encoding.scratch import Scratch
from kinema.services.encoding.sources import assemble, drop_parts
from kinema.services.encoding.tools import DISK_FULL, Tools, find_tools
from kinema.services.encoding.verification import NotVerified
from kinema.services.encoding.verification.texts import ReadText
from kinema.storage.content import content_key
from kinema.storage.ports import Blobs, Sql

_logger = log.get_logger(__name__)

HEARTBEAT_SECONDS = 1.0
_TROUBLE_SECONDS = 2.0
_POLL_SECONDS = 0.25


TakeBack = Callable[[str, Recall], Awaitable[None]]
"""Tells catalog that a version of a title (by id) must go."""


class _Yielded(Exception):
    """Another job goes first."""


class _Cancelled(Exception):
    """An operator has cancelled the job."""


class _Paused(Exception):
    """The job rests until an operator lets it go on: he wants it to, or (then the text says so) it has reached its limit."""


async def run_worker(
    *,
    instance: str,
    sql: Sql,
    blobs: Blobs,
    clock: Clock,
    keys: KeyRing,
    announce: Announce,
    recall: TakeBack,
    scratch: Path,
    stop: asyncio.Event,
    threads: int = 0,
    properties: Properties | None = None,
    read_text: ReadText | None = None,
    tools: Callable[[], Tools] = find_tools,
    records: StepRecords | None = None,
    scheduler: str = "",
) -> None:
    """Work on jobs until `stop` is set; the job at hand goes back to the queue then.

    `keys` seal those of protected films; `announce` tells catalog about a publication, `recall` about one that must go. `scratch` is a directory of this worker's own among those of others.
    `threads` is how many processors are used (0: all that are there), `scheduler` the address of Dask's where the work is done
    instead. `read_text` asks playback for the texts of a version before it is announced. `properties` say whether the worker pauses. Raises ToolFailed when a program is missing.
    """
    properties = properties or Properties()
    await sql.migrate("encoding")
    found = await asyncio.to_thread(tools)
    records = records or StepRecords(Metrics(SERVICE), Spans(clock, SERVICE, instance), instance)
    worker = Worker(
        instance,
        sql,
        blobs,
        clock,
        keys,
        announce,
        recall,
        scratch,
        threads,
        found,
        records,
        properties,
        scheduler,
        read_text,
    )
    stopped = asyncio.create_task(stop.wait())
    own: Scratch | None = None
    clean = True
    try:
        while not stop.is_set():
            try:
                if own is None:
                    own = await asyncio.to_thread(Scratch, scratch)
                if not clean:
                    await asyncio.to_thread(own.empty)
                    clean = True
                work = None if properties[PAUSED] else await worker.jobs.claim(instance)
            except (Unavailable, StorageFull, OSError) as error:  # a full disk passes, and the worker outlasts it
                _logger.warning("no job can be begun", error=str(error))
                await _either(stopped, asyncio.create_task(clock.sleep(_TROUBLE_SECONDS)))
                continue
            if work is None:
                await _either(stopped, asyncio.create_task(clock.sleep(_POLL_SECONDS)))
                continue
            clean = False
            await _either(stopped, asyncio.create_task(worker.work(work)))
    finally:
        stopped.cancel()
        if own is not None:
            await asyncio.to_thread(own.release)


async def _either(stopped: asyncio.Task[bool], task: asyncio.Task[None]) -> None:
    """Wait for the task; when `stopped` comes first, cancel it and wait for its end. Its own error is raised."""
    try:
        await asyncio.wait({stopped, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not task.done():
            task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Worker:
    """Does single jobs."""

    def __init__(
        self,
        instance: str,
        sql: Sql,
        blobs: Blobs,
        clock: Clock,
        keys: KeyRing,
        announce: Announce,
        recall: TakeBack,
        scratch: Path,
        threads: int,
        tools: Tools,
        records: StepRecords,
        properties: Properties,
        scheduler: str,
        read_text: ReadText | None,
    ) -> None:
        self._records = records
        self.jobs = Jobs(sql, clock)
        self._instance = instance
        self._sql = sql
        self._blobs = blobs
        self._clock = clock
        self._scratch = scratch
        self._threads = threads
        self._tools = tools
        self._ledger = Ledger(sql, blobs, clock, records.step)
        self._publisher = Publisher(sql, blobs, clock, announce, read_text)
        self._content_keys = KeyStore(sql, keys, clock)
        self._properties = properties
        self._recall = recall
        self._scheduler = scheduler

    async def work(self, work: Work) -> None:
        """Do a claimed job and write how it ended. Cancelled, it gives the job back. Call it in a task of its own."""
        record = self._records.job(work.trace)
        log.bind(trace_id=record.trace_id)
        _logger.info("job", job=work.job_id, title_id=work.title_id, asset=work.asset)
        run = Progress(self._clock, work)
        doing = asyncio.create_task(self._encode(work, run))
        beating = asyncio.create_task(self._beat(work, run))
        try:
            await asyncio.wait({doing, beating}, return_when=asyncio.FIRST_COMPLETED)
            if beating.done():
                doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
        finally:
            for task in (doing, beating):
                task.cancel()
            await asyncio.gather(doing, beating, return_exceptions=True)
            await asyncio.shield(self._finish(work, run, doing, beating))
            record.ended(work.job_id, failed=_failed(doing) or _failed(beating))

    async def _finish(self, work: Work, run: Progress, doing: asyncio.Task[None], beating: asyncio.Task[None]) -> None:
        """Write the job's end: as it was decided by the work, else by the heartbeat, else it goes back to the queue."""
        stopped = None if beating.cancelled() else beating.exception()
        error = stopped if doing.cancelled() else doing.exception()
        try:
            if isinstance(error, LeaseLost):
                _logger.warning("lease lost", job=work.job_id)
                return
            await self.jobs.beat(work.job_id, self._instance, run.report())
            if doing.cancelled() and error is None:
                await self.jobs.give_back(work.job_id, self._instance, "waiting: the worker was stopped")
            elif isinstance(error, _Yielded):
                await self.jobs.give_back(work.job_id, self._instance, "waiting: other films first")
            elif isinstance(error, _Cancelled):
                await self.jobs.end(work.job_id, self._instance, "cancelled")
            elif isinstance(error, _Paused):
                await self.jobs.pause(work.job_id, self._instance, str(error) or None)
            elif error is None:
                await self._drop_intermediates(work)
                await self.jobs.end(work.job_id, self._instance, "done")
            else:
                await self._fail(work, error)
        except KinemaError as lost:
            # The lease runs out and the job is taken up again; a crash is counted then.
            _logger.warning("the end of a job could not be written", job=work.job_id, error=lost.detail)

    async def _fail(self, work: Work, error: BaseException) -> None:
        """Write why a job failed. What may heal keeps its film for a retry; of a file that is no good nothing stays."""
        sentence = _sentence(error)
        trace = None if isinstance(error, KinemaError) else error
        _logger.warning("job failed", job=work.job_id, error=sentence, exc_info=trace)
        if not isinstance(error, Unusable | NotVerified):
            await self.jobs.end(work.job_id, self._instance, "failed", sentence)
            return
        await self._drop_intermediates(work)
        if isinstance(error, NotVerified) and not work.codec:
            await self._withdraw(work, sentence)
        film = await self.jobs.refuse(work.job_id, self._instance, sentence)
        await drop_parts(self._sql, self._blobs, work.upload_id)
        if film is not None:
            await self._blobs.delete(content_key("sources", film))

    async def _withdraw(self, work: Work, sentence: str) -> None:
        """Take the quick version off, since the film behind it turned out to be faulty."""
        try:
            manifest = await self._publisher.newest(work.asset)
        except NotFound:
            return
        await self._recall(work.title_id, Recall(work.asset, manifest.version, sentence))

    async def _beat(self, work: Work, run: Progress) -> None:
        """Renew the lease each second.

        Raises _Cancelled and _Paused when that is wanted, _Yielded when another job goes first, LeaseLost when the lease could
        not be renewed in time.
        """
        renewed = self._clock.monotonic()
        tracing.current.set(None)  # a beat each second, for hours perhaps, is no part of the job's trace
        while True:
            await self._clock.sleep(HEARTBEAT_SECONDS)
            try:
                report = run.report()
                beat = await self.jobs.beat(work.job_id, self._instance, report)
            except (Unavailable, StorageFull) as error:
                if self._clock.monotonic() - renewed > LEASE_SECONDS - HEARTBEAT_SECONDS:
                    raise LeaseLost("The lease could not be renewed in time.") from error
                continue
            renewed = self._clock.monotonic()
            if beat.cancel:
                raise _Cancelled
            if beat.pause:
                raise _Paused
            if beat.others_wait and not self._properties[PAUSED]:  # a paused worker would not take the other one up
                raise _Yielded
            if beat.most_cpu_seconds is not None and report.cpu_seconds > beat.most_cpu_seconds:
                raise _Paused(
                    f"The job has used {report.cpu_seconds:.0f} s of processor time, its limit is {beat.most_cpu_seconds:.0f} s; "
                    "raise the limit and let it go on, or cancel it."
                )

    async def _encode(self, work: Work, run: Progress) -> None:
        digest = await self._source(work, run)
        tools, blobs, scratch = self._tools, self._blobs, self._scratch
        context = Context(tools, blobs, scratch)
        source = await context.film(digest)
        machine = msgspec.structs.replace(this_machine(), threads=self._threads) if self._threads else this_machine()
        executor = await open_executor(self._scheduler, context, machine)
        making = Making(
            work,
            digest,
            Pipeline(source, digest, self._ledger, blobs, tools, scratch, self._threads),
            Extras(source, digest, self._ledger, blobs, tools, scratch),
            self._ledger,
            executor,
            tools.versions,
            self._publisher,
            Reports(self._sql),
            run,
            partial(self.jobs.step_finished, work.job_id, self._instance),
            partial(self._protected, work, digest),
            per_shot=self._properties[PER_SHOT],
        )
        try:
            if not work.codec:
                await making.film()
                return
            before, saved = await making.backfill(await self._publisher.newest(work.asset))
            await self.jobs.step_finished(work.job_id, self._instance, before_bytes=before, saved_bytes=saved)
        finally:
            await executor.close()

    async def _source(self, work: Work, run: Progress) -> str:
        if work.source is not None:
            return work.source
        run.step = "joining the upload"
        with self._records.step("join"):
            digest = await assemble(self._sql, self._blobs, work.upload_id)
        await self.jobs.step_finished(work.job_id, self._instance, source=digest)
        await drop_parts(self._sql, self._blobs, work.upload_id)
        return digest

    async def _protected(self, work: Work, source: str, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
        """Return the tracks as they are to be published: encrypted, where films are."""
        if not self._properties[PROTECTED]:
            return tracks
        key_for = partial(self._content_keys.key_for, work.asset)
        return await Encryption(source, key_for, self._ledger, self._blobs, self._tools, self._scratch).protect(tracks)

    async def _drop_intermediates(self, work: Work) -> None:
        """Delete the encoded streams of a job that ends, unless another job works on the same film."""
        source = await self.jobs.unshared_source(work.job_id)
        for key in await self._ledger.forget(source, "steps/") if source else ():
            await self._blobs.delete(key)


def _failed(task: asyncio.Task[None]) -> bool:
    """Whether a task ended with an error that is more than a wish to stop."""
    if task.cancelled():
        return False
    return not isinstance(task.exception(), _Yielded | _Cancelled | _Paused | None)


def _sentence(error: BaseException) -> str:
    """Return what to tell people about a failure."""
    if isinstance(error, KinemaError):
        return error.detail
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return DISK_FULL
    if isinstance(error, OSError) and error.strerror:
        return f"The machine could not do it ({error.strerror}); see the log, then retry the job."
    return "An unexpected error was logged; retry the job or tell the operator."
