"""Reports on their way into the database: gathered for a moment and written in one transaction, then acknowledged.

Each process reports every two seconds; one commit for all of them costs one flush to the disk instead of one a report.
"""

import asyncio
from contextlib import suppress

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, KinemaError, Unavailable
from kinema.core.histogram import BUCKETS
from kinema.core.log import get_logger
from kinema.core.metrics import CLASSES
from kinema.model.telemetry import Batch
from kinema.services.telemetry.repository import Repository

_GATHER_SECONDS = 0.25
_MOST_WAITING = 200

_log = get_logger(__name__)


class Intake:
    """Takes reports; `start` and `stop` belong to the app's life."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Stop writing; who still waits is told to come again."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._end(self._waiting, Unavailable("The telemetry service is being stopped; send the report again."))

    async def take(self, batch: Batch) -> None:
        """Store a report; durable when this returns. Raises BadInput for counters out of range, Unavailable under a flood."""
        for delta in batch.reds:
            if len(delta.statuses) != len(CLASSES) or any(not 0 <= bucket < BUCKETS for bucket, _ in delta.counts):
                raise BadInput(f"The counters of {delta.route[:80]!r} are not those of this version.")
            if any(count < 0 for count in (*delta.statuses, *(count for _, count in delta.counts))):
                raise BadInput(f"The counters of {delta.route[:80]!r} go backwards.")
        if len(self._waiting) >= _MOST_WAITING:
            raise Unavailable("More reports come in than can be written; send this one later.")
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, stored))
        self._arrived.set()
        await stored

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            await self._clock.sleep(_GATHER_SECONDS)
            taken, self._waiting = self._waiting, []
            self._arrived.clear()
            try:
                await self._repository.store([batch for batch, _ in taken], self._clock.now())
            except asyncio.CancelledError:
                self._end(taken, Unavailable("The telemetry service is being stopped; send the report again."))
                raise
            except KinemaError as error:
                self._end(taken, error)
            except Exception as error:  # noqa: BLE001 -- the next reports must be taken whatever was in these
                _log.error("reports could not be written", exc_info=error)
                self._end(taken, Unavailable("The reports could not be written; the log says why."))
            else:
                self._end(taken, None)

    @staticmethod
    def _end(taken: list[tuple[Batch, asyncio.Future[None]]], error: KinemaError | None) -> None:
        for _, stored in taken:
            if stored.done():
                continue
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)
