"""A time-out that does not blame others for a pause of one's own.

A process that stood still (a busy machine, a collection of garbage, work on the event loop) finds all of its timers run out, and
answers that came long ago not yet read. `asyncio.timeout` then gives up on every one of them. Here a timer that
fires late by more than a quarter of its time is given its time once more, in which what has come is read.
"""

import asyncio
from types import TracebackType

_LATE = 0.25


class Patience:
    """`async with Patience(seconds)`: raises TimeoutError when the block takes longer while this process itself was running."""

    __slots__ = ("_due", "_limit", "_loop", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + self._seconds
        self._timer = self._loop.call_later(self._seconds, self._look)
        self._limit = asyncio.timeout(None)
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _look(self) -> None:
        if self._loop.time() - self._due > self._seconds * _LATE:
            self._timer = self._loop.call_later(self._seconds, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self._limit.reschedule(self._loop.time())
