"""Counts the calls under way against an algorithm's limit."""

from collections.abc import Sequence

from msgspec import Struct

from kinema.core.clock import Clock
from kinema.resilience.limits.algorithm import Algorithm


class LimiterSnapshot(Struct, frozen=True, kw_only=True):
    """A limiter at one moment; `admitted` and `refused` are counted since its start."""

    limit: int
    in_flight: int
    admitted: int
    refused: int


class Limiter:
    """`try_acquire` before each call; when it says True exactly one of `release`, `ignore` after it."""

    __slots__ = ("_admitted", "_algorithm", "_clock", "_refused", "in_flight")

    def __init__(self, algorithm: Algorithm, clock: Clock) -> None:
        self._algorithm = algorithm
        self._clock = clock
        self._admitted = self._refused = 0
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return self._algorithm.limit

    def try_acquire(self) -> bool:
        """Say whether a call may be made now, and count it."""
        if self.in_flight < self._algorithm.limit:
            self.in_flight += 1
            self._admitted += 1
            return True
        self._refused += 1
        return False

    def take(self) -> None:
        """Count a call that is made in any case: who asks knows that there is room, or that it must be made."""
        self.in_flight += 1
        self._admitted += 1

    def release(self, seconds: float, *, dropped: bool = False) -> None:
        """The call ended after so many seconds; `dropped`: for lack of capacity (time-out, 503), not with an answer."""
        in_flight = self.in_flight
        self.in_flight = in_flight - 1  # first: whatever is wrong with the figure, the place is free
        rtt = int(seconds * 1e9)
        start = int(self._clock.monotonic() * 1e9) - rtt
        self._algorithm.sample(start, rtt, in_flight, dropped=dropped)

    def ignore(self) -> None:
        """The call ended in a way that says nothing about capacity (cancelled, refused further on), or `learn` tells of it."""
        self.in_flight -= 1

    def learn(self, seconds: Sequence[float], at: float, in_flight: int) -> None:
        """Calls that were given back by `ignore` took so many seconds, the last ended at `at`; at most `in_flight` were under way."""
        self._algorithm.answered(seconds, int(at * 1e9), in_flight)

    def snapshot(self) -> LimiterSnapshot:
        """Return the figures of now."""
        return LimiterSnapshot(
            limit=self.limit, in_flight=self.in_flight, admitted=self._admitted, refused=self._refused
        )
