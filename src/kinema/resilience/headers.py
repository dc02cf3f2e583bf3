"""What travels with a call about its time and its retries, and what a reply says about them. The forms are strict.

    x-kinema-deadline: 1500              a request: its caller waits for 1,500 ms more
    x-kinema-deadline: 1500;retries=2    and below it at most 2 retries may be made; without it, as many as the budget there has
    x-kinema-shed: 1                     a reply: turned away before any work was done for it, so that any call may be repeated
    x-kinema-retried: 1                  a reply: this failure came from further down and has been dealt with there

The last two keep a failure from being multiplied: it is retried by the hop next to it and by nobody else. Whoever passes on a
failure of somebody below marks it `retried`, whether it still had a retry to spend or not. Retry-After is RFC 9110's, section 10.2.3.
"""

import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

from msgspec import Struct

from kinema.core.errors import BadInput
from kinema.resilience.deadline import HEADER as DEADLINE
from kinema.resilience.deadline import Deadline

SHED = b"x-kinema-shed"
RETRIED = b"x-kinema-retried"
RETRY_AFTER = b"retry-after"
MARKED = b"1"

_DEADLINE = re.compile(rb"([0-9]{1,8})(?:;retries=([0-9]{1,2}))?", re.ASCII)
_MOST_MS = 86_400_000  # a day
_DIGITS = re.compile(rb"[0-9]{1,9}", re.ASCII)


class Allowance(Struct, frozen=True):
    """What a caller grants: seconds, and retries below (None: it does not say)."""

    seconds: float
    retries: int | None = None


def format_deadline(deadline: Deadline, retries: int | None = None) -> bytes:
    """Return the value of the deadline's header; more than 99 retries are written as 99."""
    if retries is None:
        return deadline.header()
    return b"%s;retries=%d" % (deadline.header(), max(0, min(99, retries)))


def parse_deadline(value: bytes) -> Allowance:
    """Return what the header grants. Raises BadInput for any other form, and for more than a day."""
    match = _DEADLINE.fullmatch(value)
    if match is None or int(match[1]) > _MOST_MS:
        raise BadInput(
            f"{DEADLINE.decode()} is {value[:64]!r}; send whole milliseconds up to a day, then perhaps ;retries= and a number."
        )
    return Allowance(int(match[1]) / 1000, None if match[2] is None else int(match[2]))


def marked(value: bytes | None) -> bool:
    """Say whether the value of a marker's header (SHED, RETRIED) is set; anything but `1` is not."""
    return value == MARKED


def parse_retry_after(value: bytes, now: float) -> float | None:
    """Return the seconds from `now` (since the epoch) that a Retry-After asks for; None for what is neither form."""
    if _DIGITS.fullmatch(value):
        return float(value)
    if len(value) > 64:
        return None
    try:
        date = parsedate_to_datetime(value.decode("ascii"))
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError, OSError):
        return None


def format_retry_after(seconds: float) -> bytes:
    """Return whole seconds, at least 1: a client told to wait 0 comes back at once."""
    return b"%d" % max(1, min(999_999_999, -int(-seconds // 1)))


Fields = Callable[[bytes], bytes | None]
"""Looks up a header field by its lower-case name."""
