"""Ends a piece of a task when its time is up, on any clock.

A timer cancels the task; on leaving, the cancellation is taken back and becomes DeadlineExceeded. Somebody else's cancellation of the
task in the same moment is told apart by the task's count of them, and goes on. So does `asyncio.timeout`; its timers are the event
loop's, where these are the injected clock's.
"""

import asyncio
import math
from types import TracebackType
from typing import Any, Self

from kinema.core.clock import Clock, Timer
from kinema.core.errors import DeadlineExceeded


class Cut:
    """A context manager around what must end within `seconds` (infinity: whenever it likes). Raises DeadlineExceeded."""

    __slots__ = ("_cancelling", "_clock", "_seconds", "_task", "_timer", "fired")

    _task: asyncio.Task[Any]
    _timer: Timer | None
    _cancelling: int

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.fired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Only what runs in a task can be cut off.")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = self.arm()
        return self

    def arm(self) -> Timer | None:
        """Set the timer, if there is a time."""
        return self._clock.call_later(self._seconds, self._fire) if self._seconds < math.inf else None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.fired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise DeadlineExceeded(
                f"It took longer than the {self._seconds:.3g} s that were left; try again."
            ) from error

    def _fire(self) -> None:
        self.fired = True
        self._task.cancel()
