"""Two copies of one call, of which the first that succeeds is the answer.

    the first copy    runs in the caller's own task, so that a call that is not late costs one timer and no task
    it is late        a second one starts, in a task of its own, if the budget has a token
    one succeeds      it is the answer; the other is cancelled, the first copy as a deadline would do it
    one fails         the other is waited for; if it fails too, the first copy's failure is the answer

When the caller is cancelled or its deadline passes, both copies are.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from kinema.core.clock import Clock, Timer
from kinema.resilience.cut import Cut

T = TypeVar("T")

_under_way: set[asyncio.Task[Any]] = set()
"""Second copies that have not ended yet, cancelled ones too: the event loop alone would let go of them."""


class Race(Cut, Generic[T]):
    """A Cut around the first copy, whose timer goes off twice: after `delay` for the second copy, after `seconds` for the end.

    `second()` makes the second copy's coroutine, or None when there must be none; `good` tells an answer from a failure.
    """

    __slots__ = ("_delay", "_good", "_over", "_second", "copy", "won")

    def __init__(
        self,
        clock: Clock,
        seconds: float,
        delay: float,
        second: Callable[[], Coroutine[Any, Any, T] | None],
        good: Callable[[T], bool],
    ) -> None:
        super().__init__(clock, seconds)
        self._delay = delay
        self._second = second
        self._good = good
        self._over = False
        self.copy: asyncio.Task[T] | None = None
        self.won = False

    def arm(self) -> Timer | None:
        """Set the timer for the second copy, unless the end comes first."""
        if self._delay < self._seconds:
            return self._clock.call_later(self._delay, self._late)
        return super().arm()

    def finish(self) -> None:
        """The first copy is the answer, or the caller was cancelled: end the second. Takes back a cancellation that came too late."""
        self._over = True
        if self.won:
            self.take_over()
        elif self.copy is not None and not self.copy.done():
            self.copy.cancel()

    def take_over(self) -> bool:
        """Take back the cancellation by which the second copy won; False: the caller was cancelled by somebody else too."""
        self.won = False
        return self._task.uncancel() <= self._cancelling

    async def other(self) -> bool:
        """The first copy failed: wait for the second, if there is one, and return whether that succeeded."""
        self._over = True
        if self.won:
            return self.take_over()
        if self.copy is None:
            return False
        try:
            await asyncio.wait((self.copy,))
        except asyncio.CancelledError:
            self.copy.cancel()
            raise
        return self._succeeded(self.copy)

    def second_result(self) -> T:
        """Return the second copy's answer; only after `take_over` or `other` said True."""
        if self.copy is None:
            raise RuntimeError("There is no second copy.")
        return self.copy.result()

    def _late(self) -> None:
        """Start the second copy: the first is late."""
        made = None if self._over else self._second()
        if made is not None:
            self.copy = copy = self._task.get_loop().create_task(made)
            _under_way.add(copy)
            copy.add_done_callback(self._copy_ended)
        if self._seconds < math.inf:
            self._timer = self._clock.call_later(self._seconds - self._delay, self._fire)

    def _copy_ended(self, copy: asyncio.Task[T]) -> None:
        _under_way.discard(copy)
        if self._succeeded(copy) and not self._over:
            self._over = self.won = True
            self._task.cancel()

    def _succeeded(self, copy: asyncio.Task[T]) -> bool:
        return not copy.cancelled() and copy.exception() is None and self._good(copy.result())
