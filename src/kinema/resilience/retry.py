"""Which failed calls may be made again, and when.

    what happened                            GET, HEAD, OPTIONS    with an idempotency key    anything else
    no connection was made                   yes                   yes                        yes
    a reply marked `shed`                    yes                   yes                        yes
    500, 503                                 yes                   yes                        no
    timed out                                yes                   yes                        no
    cut off before the answer began          yes                   yes                        no
    any other status, cut off in the answer  no                    no                         no
    a reply marked `retried`                 no                    no                         no

The first two did nothing at the other end, so any call may be repeated. A retry needs also a token of the budget and what the caller's
caller left of its own, an attempt that is left, and time: it waits a random time below a bound that doubles, or as long as
Retry-After says if that is longer, and is not made when the deadline would have passed by then.
"""

from enum import Enum

from kinema.resilience.headers import RETRIED, SHED, Fields, marked

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Failure(Enum):
    """How an attempt ended, as far as repeating it is concerned."""

    NOT_CONNECTED = "no connection was made"
    SHED = "turned away before any work"
    FAILED = "answered with 500 or 503, or anything like it"
    TIMED_OUT = "timed out"
    CUT_OFF = "cut off before the answer began"
    FINAL = "anything that is not repeated"


_NOTHING_DONE = frozenset({Failure.NOT_CONNECTED, Failure.SHED})


def failure_of(status: int, field: Fields) -> Failure | None:
    """Return what a reply means for retries, None for one that is no failure (below 500, and not shed).

    `field` looks up its header fields. A reply marked `retried` is final.
    """
    if status < 400:
        return None
    shed = marked(field(SHED))
    if status < 500 and not shed:
        return None
    if marked(field(RETRIED)):
        return Failure.FINAL
    if shed:
        return Failure.SHED
    return Failure.FAILED if status in {500, 503} else Failure.FINAL


def may_retry(method: str, failure: Failure, *, idempotency_key: bool = False) -> bool:
    """Say whether a call that failed so may be made again."""
    if failure in _NOTHING_DONE:
        return True
    return failure is not Failure.FINAL and (method in SAFE_METHODS or idempotency_key)


def pause(wait: float, retry_after: float | None, remaining: float) -> float | None:
    """Return the seconds to wait before a retry; None: the time that remains does not allow it.

    `wait` is the back-off, `retry_after` what the reply asked for. None is certain: whoever waits that long fails anyway.
    """
    seconds = wait if retry_after is None else max(wait, retry_after)
    return seconds if seconds < remaining else None
