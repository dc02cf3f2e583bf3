"""The time that a caller will still wait, and the retries it grants. Both travel with the call and only ever shrink."""

from collections.abc import Callable
from contextvars import ContextVar

from kinema.core.clock import Clock, Timer
from kinema.core.errors import DeadlineExceeded

HEADER = b"x-kinema-deadline"


class _Grant:
    """Shared by all deadlines that come of one."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Deadline:
    """A point on the steady clock, so that neither a changed wall clock nor the way between machines moves it.

    `retries`: how many may be made below it, by all calls together; None: the caller does not say.
    """

    __slots__ = ("_at", "_clock", "_grant")

    def __init__(self, clock: Clock, seconds: float, retries: int | None = None) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds
        self._grant = None if retries is None else _Grant(retries)

    @classmethod
    def within(cls, clock: Clock, seconds: float) -> "Deadline":
        """Return the deadline of a call that begins now: so many seconds, or what the call around it has left."""
        outer = current.get()
        if outer is None:
            return cls(clock, seconds)
        return outer if outer.remaining < seconds else outer.sooner(seconds)

    def sooner(self, seconds: float) -> "Deadline":
        """Return a deadline in so many seconds under the same grant of retries."""
        other = Deadline(self._clock, seconds)
        other._grant = self._grant
        return other

    @property
    def retries(self) -> int | None:
        """Return the retries that are left, None without a grant."""
        return None if self._grant is None else self._grant.left

    def spend(self) -> bool:
        """Take one retry out of the grant; False: none is left."""
        if self._grant is None:
            return True
        if self._grant.left <= 0:
            return False
        self._grant.left -= 1
        return True

    @property
    def remaining(self) -> float:
        """Seconds that are left, never below zero."""
        left = self._at - self._clock.monotonic()
        return left if left > 0.0 else 0.0  # noqa: FURB136 -- asked several times a call; max() costs more than the rest

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return self._clock.monotonic() >= self._at

    def call_when_passed(self, callback: Callable[[], object]) -> Timer:
        """Call back when nothing is left; cancel the timer that is returned when it no longer matters."""
        return self._clock.call_later(self.remaining, callback)

    def header(self) -> bytes:
        """Return the value for the header: whole milliseconds that are left."""
        return b"%d" % int(self.remaining * 1000)

    def check(self, doing: str) -> None:
        """Raise DeadlineExceeded, saying what was being done, when nothing is left."""
        if self.passed:
            raise DeadlineExceeded(f"The time for {doing} is used up; try again.")


current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
"""The deadline of the call that is being made; what it calls in turn must be done by then."""
