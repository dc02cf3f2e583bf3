"""How attempts that ended without an answer look to the rules of retrying (`kinema.resilience.retry`)."""

from kinema.core.errors import KinemaError
from kinema.http.errors import ConnectFailed, ConnectionLost, PoolFull, TimedOut
from kinema.resilience.retry import Failure

IDEMPOTENCY_KEY = b"idempotency-key"

MOST_RETRIES = 2
"""Retries of one call."""

FIRST_ATTEMPT_SHARE = 0.6
"""The part of a call's time that an attempt gets while another one could follow: a time-out with no time left is no use."""


def failure_of_error(error: KinemaError) -> Failure:
    """Return what an error of `kinema.http` means for a retry."""
    if isinstance(error, ConnectFailed | PoolFull):
        return Failure.NOT_CONNECTED
    if isinstance(error, TimedOut):
        return Failure.TIMED_OUT
    if isinstance(error, ConnectionLost) and error.before_head:
        return Failure.CUT_OFF
    return Failure.FINAL
