"""The request that a service is working on, as far as it concerns the calls that are made for it.

    time       a call made for a request has at most the time that the request's caller still waits
    retries    the request's caller may have said how many retries are left for all that is done for it
    failures   an error that came from further down is marked, so that the answer can say so and nobody above tries again

All of it is bound to the request (a context variable), so handlers do not pass it on by hand. Work that goes on after the answer
(a task that a handler began) is no longer bound: nobody waits for it.
"""

from contextvars import ContextVar

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.resilience import Deadline
from kinema.resilience.headers import Allowance

GRANTED = 3
"""Retries for a request whose caller has not said how many, at all depths together."""

_DEEPEST = 8


class Serving:
    """One request. `deadline` is None when its caller named none; `retries` may still be made for it, here and further down."""

    __slots__ = ("deadline", "ended", "retries")

    def __init__(self, clock: Clock, allowance: Allowance | None) -> None:
        self.deadline = None if allowance is None else Deadline(clock, allowance.seconds)
        granted = None if allowance is None else allowance.retries
        self.retries = GRANTED if granted is None else granted
        self.ended = False


_current: ContextVar[Serving | None] = ContextVar("serving", default=None)
bind = _current.set
unbind = _current.reset


def serving() -> Serving | None:
    """Return the request that is being worked on here, None outside any and when it has been answered."""
    found = _current.get()
    return None if found is None or found.ended else found


def deadline_within(clock: Clock, seconds: float) -> Deadline:
    """Return the deadline of a call that may take so long: no later than that of the request it is made for."""
    request = serving()
    if request is not None and request.deadline is not None:
        seconds = min(seconds, request.deadline.remaining)
    return Deadline(clock, seconds)


def mark_from_below(error: KinemaError) -> None:
    """Note on an error that a call to another service ended in it."""
    error.from_below = True  # type: ignore[attr-defined]  # a note, not part of what errors are


def is_from_below(error: BaseException) -> bool:
    """Say whether an error, or the one that caused it, came from a call to another service."""
    found: BaseException | None = error
    for _ in range(_DEEPEST):
        if found is None:
            return False
        if getattr(found, "from_below", False):
            return True
        found = found.__cause__ or found.__context__
    return False
