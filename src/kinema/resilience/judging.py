"""What an error means for retries, breaker and limit. A policy for calls of another kind brings its own function in this place."""

import socket

from kinema.core.errors import DeadlineExceeded, KinemaError
from kinema.resilience.errors import Refused
from kinema.resilience.retry import Failure


def judge(error: Exception) -> Failure | None:
    """Return how a call that raised this failed; None: the callee did its work and the caller was wrong (not found, bad input)."""
    if isinstance(error, KinemaError):
        return _judge_ours(error)
    if isinstance(error, TimeoutError):
        return Failure.TIMED_OUT
    if isinstance(error, ConnectionRefusedError | socket.gaierror):
        return Failure.NOT_CONNECTED
    if isinstance(error, ConnectionError | EOFError):
        return Failure.CUT_OFF
    return Failure.FAILED


def _judge_ours(error: KinemaError) -> Failure | None:
    if isinstance(error, Refused):
        return Failure.SHED
    if isinstance(error, DeadlineExceeded):
        return Failure.TIMED_OUT
    if error.status < 500:
        return None
    return Failure.FAILED if error.status in {500, 503} else Failure.FINAL
