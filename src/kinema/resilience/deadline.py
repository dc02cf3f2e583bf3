"""The time that a caller will still wait. It travels with the call in milliseconds and only ever shrinks."""

from collections.abc import Callable

from kinema.core.clock import Clock, Timer
from kinema.core.errors import DeadlineExceeded

HEADER = b"x-kinema-deadline"


class Deadline:
    """A point on the steady clock, so that neither a changed wall clock nor the way between machines moves it."""

    __slots__ = ("_at", "_clock")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left, never below zero."""
        return max(0.0, self._at - self._clock.monotonic())

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
