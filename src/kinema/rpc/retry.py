"""Which failures may be tried again on another instance.

    no connection was made     any method: nothing was sent
    cut before the answer      GET, HEAD, OPTIONS: they change nothing, so sending one twice does no harm
    503                        GET, HEAD, OPTIONS: this instance cannot, another may
    anything else              never: the request may have had its effect, or its time is used up

A retry also needs an instance that was not tried yet and a token of the budget; both are the caller's to check.
"""

from kinema.core.errors import KinemaError
from kinema.http.errors import ConnectFailed, ConnectionLost, PoolFull

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def retryable_error(method: str, error: KinemaError) -> bool:
    """Say whether a request that ended in this error may be sent to another instance."""
    if isinstance(error, ConnectFailed | PoolFull):
        return True
    return method in SAFE_METHODS and isinstance(error, ConnectionLost) and error.before_head


def retryable_status(method: str, status: int) -> bool:
    """Say whether a request that was answered with this status may be sent to another instance."""
    return status == 503 and method in SAFE_METHODS
