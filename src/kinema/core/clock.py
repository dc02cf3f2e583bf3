"""Time as a dependency: policies ask a clock, so the same code runs in production, in a test and in a simulation."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Protocol


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Call it off; nothing happens when it has been made."""
        ...


class Clock(Protocol):
    """Wall time, steady time and waiting. All values are in seconds."""

    def now(self) -> float:
        """Return seconds since the Unix epoch; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start; never goes back. Durations are measured with this."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for this many seconds of the clock's own time."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after this many seconds of the clock's own time, in the present context; cheaper than a task that sleeps."""
        ...


class SystemClock:
    """The machine's clock. The time functions are the interpreter's own: a call costs a third of what a method around it does."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back from the running event loop."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class _ManualTimer:
    """What waits for a ManualClock to be advanced."""

    __slots__ = ("callback", "context")

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback
        self.context = copy_context()

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until it is advanced; sleepers and timers wake in the order of their deadlines."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """Return the time this clock was started with plus all that it was advanced by, in seconds."""
        return self._now

    def monotonic(self) -> float:
        """Return the same as `now`: this clock never jumps back."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been advanced by this many seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        self.call_later(seconds, wake)
        await woken

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back from within `advance`, when the clock has been advanced by this many seconds."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self._now + seconds, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move time on by this many seconds and wake every sleeper and timer whose deadline has come."""
        self._now += seconds
        while self._timers and self._timers[0][0] <= self._now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                timer.context.run(timer.callback)
