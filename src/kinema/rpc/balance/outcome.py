"""How an attempt ended, as the balancer and the guards of an instance judge it.

ANSWERED     the instance did its work: any answer that is not one of the next
FAILED       it did not: 500, 502, 503, 504, a lost connection, an answer that is no HTTP
TIMED_OUT    it did not answer in time
REFUSED      no connection could be made; nothing was sent
SHED         it said that it has too much to do (the shed marker): healthy, but full
ABANDONED    the caller left, or had given too little time: says nothing about the instance
"""

from enum import IntEnum

from kinema.core.errors import KinemaError
from kinema.http.errors import ConnectFailed, PoolFull, TimedOut

FAILURES = frozenset({500, 502, 503, 504})


class Outcome(IntEnum):
    """The judgement on one attempt."""

    ANSWERED = 0
    FAILED = 1
    TIMED_OUT = 2
    REFUSED = 3
    SHED = 4
    ABANDONED = 5


def outcome_of_status(status: int, *, shed: bool) -> Outcome:
    """Return the judgement on an answer; `shed`: it carries the shed marker."""
    if shed:
        return Outcome.SHED
    return Outcome.FAILED if status in FAILURES else Outcome.ANSWERED


def outcome_of_error(error: KinemaError) -> Outcome:
    """Return the judgement on an attempt without an answer (`kinema.http.errors`)."""
    if isinstance(error, ConnectFailed):
        return Outcome.REFUSED
    if isinstance(error, TimedOut):
        return Outcome.TIMED_OUT
    # Our own queue for connections was full: nothing was sent, and the instance has more than it can do.
    return Outcome.SHED if isinstance(error, PoolFull) else Outcome.FAILED
