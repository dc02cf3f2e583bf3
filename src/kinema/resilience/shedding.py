"""Prioritised load shedding: when there is more to do than can be done, leave out what matters least, early and cheaply.

    pressure      the larger of the utilisation (requests under way / adaptive limit: above 1 beyond it) and the queue's part:
                  from KNEE at the target of CoDel, rising by 0.4 with ten targets, up to where CRITICAL begins: a wait is
                  known late or nearly, so what it cuts swings, and that must not hit those who matter most
    the wait      of a request that is admitted at the end of its wait, its own: what it has waited, and what is ahead of it still
                  (backlog.py). It counts while the queue stands. With fewer than eight under way or in line, no wait counts
    the curve     a class is cut from its `begin` on, wholly from its `end` on: ((pressure - begin) / (end - begin)) ** 3
                  of its requests; cubic, so that a small excess costs nearly nobody anything and a large one acts at once

                                begin   end
                  BULK          0.60    0.70
                  BEST_EFFORT   0.70    0.85
                  DEGRADED      0.85    1.10
                  CRITICAL      1.10    1.50

Each begins where the one before ends, so bulk work is gone before a prefetch suffers, prefetches before a viewer notices, and
starts of plays are refused only when nothing else is left to cut. Classes and the cubic shape are those of Netflix's "Keeping Netflix Reliable Using Prioritized
Load Shedding" (2020) and "Enhancing Netflix Reliability with Service-Level Prioritized Load Shedding" (2024).

A refusal carries the shed marker: it was sent before any work, so whatever was asked may be asked again, elsewhere.
"""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from kinema.core.clock import Clock
from kinema.core.priority import Priority
from kinema.model.shedding import SheddingState
from kinema.resilience.backlog import Backlog
from kinema.resilience.codel import CoDel
from kinema.resilience.errors import Refused
from kinema.resilience.limits import Algorithm, limit

KNEE = 0.6
"""The pressure below which nothing is cut."""

_QUEUE_WEIGHT = 0.04
_CROWD = 8  # requests under way or in line
_LEAST_RETRY_SECONDS = 1
_MOST_RETRY_SECONDS = 5


class Shed(Refused):
    """There was too much to do for a request of this class; nothing was done for it."""


class Curve(NamedTuple):
    """The pressures between which a class is cut."""

    begin: float
    end: float


CURVES: dict[Priority, Curve] = {
    Priority.CRITICAL: Curve(1.1, 1.5),
    Priority.DEGRADED: Curve(0.85, 1.1),
    Priority.BEST_EFFORT: Curve(0.7, 0.85),
    Priority.BULK: Curve(KNEE, 0.7),
}


def cut(priority: Priority, pressure: float) -> float:
    """Return the part of a class that is cut, 0 to 1."""
    begin, end = CURVES[priority]
    if pressure <= begin:
        return 0.0
    return min(1.0, ((pressure - begin) / (end - begin)) ** 3)


def queue_pressure(excess: float) -> float:
    """Return the pressure that a standing queue of so many targets above the target means (`CoDel.excess`)."""
    return min(CURVES[Priority.CRITICAL].begin, KNEE + _QUEUE_WEIGHT * excess) if excess > 0.0 else 0.0


class Shedder:
    """Decides by class and pressure, and counts."""

    __slots__ = ("_draw", "admitted", "pressure", "shed")

    def __init__(self, random: Random | None = None) -> None:
        self._draw = (random or Random()).random  # noqa: S311 (thins out, guards nothing)
        self.admitted = [0] * len(Priority)
        self.shed = [0] * len(Priority)
        self.pressure = 0.0

    def admits(self, priority: Priority, pressure: float) -> bool:
        """Say whether a request of this class is taken at this pressure."""
        self.pressure = pressure
        if pressure > KNEE and self._draw() < cut(priority, pressure):
            self.shed[priority] += 1
            return False
        self.admitted[priority] += 1
        return True

    def refusal(self, what: str) -> Shed:
        """Return the error for a request that was not taken; who comes again comes at a random moment of the next seconds."""
        wait = _LEAST_RETRY_SECONDS + int(self._draw() * (_MOST_RETRY_SECONDS - _LEAST_RETRY_SECONDS + 1))
        return Shed(f"{what} has more to do than it can; try again in {wait} s.", retry_after=float(wait))

    def snapshot(self, in_flight: int, limit: int, standing_delay: float) -> SheddingState:
        """Return the counts, with what their owner knows beside them."""
        return SheddingState(
            pressure=self.pressure,
            in_flight=in_flight,
            limit=limit,
            standing_delay=standing_delay,
            admitted=_by_name(self.admitted),
            shed=_by_name(self.shed),
        )


def server_limit() -> Algorithm:
    """Return the limit of one server instance, wide enough from the start for the requests of a few pages at once."""
    return limit(first=200, least=100, most=1000)


class LoadShedder:
    """What stands before the work of one server: `admit` each request, and for each that was admitted exactly one `finished`.

    `algorithm` learns how many requests may be under way from how long they take.
    """

    __slots__ = ("_algorithm", "_backlog", "_codel", "_monotonic", "_shedder", "in_flight", "refusal")

    def __init__(
        self,
        clock: Clock,
        algorithm: Algorithm | None = None,
        random: Random | None = None,
        codel: CoDel | None = None,
    ) -> None:
        self._monotonic = clock.monotonic
        self._algorithm = algorithm or server_limit()
        self._backlog = Backlog()
        self._codel = codel or CoDel()
        self._shedder = Shedder(random)
        self.in_flight = 0
        self.refusal: Callable[[str], Shed] = self._shedder.refusal

    def admit(self, priority: Priority, waited: float | None = None) -> bool:
        """Say whether a request of this class is taken, and count it if so.

        `waited`: how many seconds it has waited until now, where requests are admitted at the end of their wait.
        """
        now = self._monotonic()
        if self._shedder.admits(priority, self._pressure(now, waited)):
            self.in_flight += 1
            self._backlog.let_in(now)
            return True
        return False

    def finished(
        self,
        seconds: float | None,
        queue_seconds: float | None = None,
        *,
        dropped: bool = False,
        held: float | None = None,
    ) -> None:
        """A request that was admitted is over; `seconds` None: how long it took says nothing.

        `queue_seconds`: how long it waited for its turn, where that is known. `dropped`: it ran out of time. `held`: for how
        many seconds nothing else could be done because of it, where one thing is done at a time.
        """
        if queue_seconds is not None:
            self.waited(queue_seconds)
        if held is not None:
            self._backlog.held(held)
        if seconds is not None:
            rtt = int(seconds * 1e9)
            start = int(self._monotonic() * 1e9) - rtt
            self._algorithm.sample(start, rtt, self.in_flight, dropped=dropped)
        self.in_flight -= 1

    def waited(self, seconds: float) -> None:
        """A piece of work has waited this long for its turn."""
        self._codel.waited(self._monotonic(), seconds)

    @property
    def utilisation(self) -> float:
        """Requests under way in the limit: 1 is all that can be done well."""
        return self.in_flight / self._algorithm.limit

    def _pressure(self, now: float, waited: float | None) -> float:
        """Return how near the server is to all that it can do, or how far beyond."""
        wait, ahead = None, 0.0
        if waited is not None:
            ahead = self._backlog.seconds(now, self.in_flight)
            wait = waited + ahead
            self._codel.waited(now, wait, ahead)
        utilisation = self.utilisation
        if self.in_flight + self._codel.line(waited or 0.0) < _CROWD:
            return utilisation  # whatever makes the loop late, leaving out requests would not help
        return max(utilisation, queue_pressure(self._codel.excess(now, wait, ahead)))

    def snapshot(self) -> SheddingState:
        """Return the state of now."""
        standing = self._codel.standing(self._monotonic())
        return self._shedder.snapshot(self.in_flight, self._algorithm.limit, standing)


def _by_name(counts: list[int]) -> dict[str, int]:
    return {priority.name.lower(): count for priority, count in zip(Priority, counts, strict=True)}
