"""A bulkhead: so many calls at once and so many waiting, so that one slow callee cannot take all there is.

    a place is free, nobody waits     take it
    the queue has room                wait in line, until the deadline
    else                              refused at once
    a place is given back             the longest waiting gets it; nobody who comes later can be faster

A place goes from hand to hand: it is never free in between, so that order and count hold. Who is cancelled in the moment
of being given a place passes it on.
"""

import asyncio
from collections import deque
from functools import partial

from msgspec import Struct

from kinema.core.errors import DeadlineExceeded
from kinema.resilience.deadline import Deadline
from kinema.resilience.errors import BulkheadFull


class BulkheadSnapshot(Struct, frozen=True, kw_only=True):
    """A bulkhead at one moment; `admitted`, `refused` and `expired` are counted since its start."""

    most: int
    queue: int
    in_use: int
    waiting: int
    admitted: int
    refused: int
    expired: int


class Bulkhead:
    """At most `most` calls at once, at most `queue` waiting. Every place taken is given back by one `release`."""

    __slots__ = ("_admitted", "_expired", "_most", "_queue", "_refused", "_waiting", "in_use")

    def __init__(self, most: int, queue: int = 0) -> None:
        if not (most >= 1 and queue >= 0):
            raise ValueError(f"A bulkhead of {most} places and a queue of {queue}: give at least 1 and 0.")
        self._most = most
        self._queue = queue
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._admitted = self._refused = self._expired = 0
        self.in_use = 0

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._waiting)

    def try_acquire(self) -> bool:
        """Take a place if one is free; never waits, never overtakes who waits."""
        if self.in_use < self._most:
            self.in_use += 1
            self._admitted += 1
            return True
        self._refused += 1
        return False

    async def acquire(self, deadline: Deadline | None = None) -> None:
        """Take a place, waiting in line for it. Raises BulkheadFull at once, DeadlineExceeded when the time is up."""
        if self.in_use < self._most:
            self.in_use += 1
            self._admitted += 1
            return
        if len(self._waiting) >= self._queue:
            self._refused += 1
            raise BulkheadFull(
                f"All {self._most} places are taken and {len(self._waiting)} calls wait already; try again in a moment."
            )
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        timer = deadline.call_when_passed(partial(_expire, turn)) if deadline else None
        try:
            given = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.release()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)
        if not given:
            self._expired += 1
            raise DeadlineExceeded(f"No place of {self._most} became free within the time of the call; try again.")
        self._admitted += 1

    def release(self) -> None:
        """Give a place back: to the longest waiting, if anybody waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self.in_use -= 1

    def snapshot(self) -> BulkheadSnapshot:
        """Return the figures of now."""
        return BulkheadSnapshot(
            most=self._most,
            queue=self._queue,
            in_use=self.in_use,
            waiting=len(self._waiting),
            admitted=self._admitted,
            refused=self._refused,
            expired=self._expired,
        )


def _expire(turn: asyncio.Future[bool]) -> None:
    if not turn.done():
        turn.set_result(False)
