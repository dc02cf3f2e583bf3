"""How each request ended, by Zuul's status categories: an HTTP status alone does not say whose fault an answer is.

A 503 may be a service's own, one that we gave because no instance was there, or one that kept load away from a service that
has enough; who looks at a graph of errors wants to tell them apart. The names are those of Netflix's ZuulStatusCategory.
"""

from enum import StrEnum
from typing import Self

from kinema.core.errors import DeadlineExceeded, KinemaError, NotFound, TooMany, Unavailable
from kinema.http import ConnectFailed, ConnectionLost, PoolFull, ResponseInvalid, TimedOut
from kinema.resilience.errors import Refused


class StatusCategory(StrEnum):
    """SUCCESS or FAILURE, then who: the origin (a service), the client, or ourselves (local). `number` is its place in this list."""

    number: int

    def __new__(cls, value: str) -> Self:
        """Number the members: an index costs a tenth of a look-up by an Enum, whose hash is computed in Python."""
        one = str.__new__(cls, value)
        one._value_ = value
        one.number = len(cls.__members__)
        return one

    SUCCESS = "SUCCESS"
    SUCCESS_NOT_FOUND = "SUCCESS_NOT_FOUND"
    SUCCESS_LOCAL_NOTSET = "SUCCESS_LOCAL_NOTSET"  # answered here, without a service
    SUCCESS_LOCAL_NO_ROUTE = "SUCCESS_LOCAL_NO_ROUTE"
    FAILURE_LOCAL = "FAILURE_LOCAL"
    FAILURE_LOCAL_THROTTLED_ORIGIN_SERVER_MAXCONN = "FAILURE_LOCAL_THROTTLED_ORIGIN_SERVER_MAXCONN"
    FAILURE_LOCAL_THROTTLED_ORIGIN_CONCURRENCY = "FAILURE_LOCAL_THROTTLED_ORIGIN_CONCURRENCY"
    FAILURE_CLIENT_BAD_REQUEST = "FAILURE_CLIENT_BAD_REQUEST"
    FAILURE_CLIENT_CANCELLED = "FAILURE_CLIENT_CANCELLED"
    FAILURE_ORIGIN = "FAILURE_ORIGIN"
    FAILURE_ORIGIN_READ_TIMEOUT = "FAILURE_ORIGIN_READ_TIMEOUT"
    FAILURE_ORIGIN_CONNECTIVITY = "FAILURE_ORIGIN_CONNECTIVITY"
    FAILURE_ORIGIN_THROTTLED = "FAILURE_ORIGIN_THROTTLED"
    FAILURE_ORIGIN_NO_SERVERS = "FAILURE_ORIGIN_NO_SERVERS"
    FAILURE_ORIGIN_RESET_CONNECTION = "FAILURE_ORIGIN_RESET_CONNECTION"

    @property
    def failure(self) -> bool:
        """Whether a client did not get what it asked for."""
        return self.value.startswith("FAILURE")


_BY_ERROR: tuple[tuple[type[KinemaError], StatusCategory], ...] = (
    # The first that fits.
    (ConnectFailed, StatusCategory.FAILURE_ORIGIN_CONNECTIVITY),
    (ConnectionLost, StatusCategory.FAILURE_ORIGIN_RESET_CONNECTION),
    (ResponseInvalid, StatusCategory.FAILURE_ORIGIN),
    (PoolFull, StatusCategory.FAILURE_LOCAL_THROTTLED_ORIGIN_SERVER_MAXCONN),
    (TimedOut, StatusCategory.FAILURE_ORIGIN_READ_TIMEOUT),
    (DeadlineExceeded, StatusCategory.FAILURE_LOCAL),
    (Refused, StatusCategory.FAILURE_LOCAL_THROTTLED_ORIGIN_CONCURRENCY),
    (TooMany, StatusCategory.FAILURE_LOCAL_THROTTLED_ORIGIN_CONCURRENCY),
    (Unavailable, StatusCategory.FAILURE_LOCAL),
    (NotFound, StatusCategory.SUCCESS_LOCAL_NO_ROUTE),
)


def category_of_error(error: BaseException) -> StatusCategory:
    """Return the category of a request that we answer with this error."""
    for kind, category in _BY_ERROR:
        if isinstance(error, kind):
            return category
    if isinstance(error, KinemaError) and error.status < 500:
        return StatusCategory.FAILURE_CLIENT_BAD_REQUEST
    return StatusCategory.FAILURE_LOCAL


def category_of_refusal(refusal: KinemaError) -> StatusCategory:
    """Return the category of a request for which the balancer had no instance."""
    if isinstance(refusal, Refused):
        return StatusCategory.FAILURE_LOCAL_THROTTLED_ORIGIN_CONCURRENCY
    return StatusCategory.FAILURE_ORIGIN_NO_SERVERS


def category_of_status(status: int) -> StatusCategory:
    """Return the category of an answer that a service gave: its 4xx are successes of the proxy, as Zuul counts them."""
    if status < 500:
        return StatusCategory.SUCCESS_NOT_FOUND if status == 404 else StatusCategory.SUCCESS
    return StatusCategory.FAILURE_ORIGIN_THROTTLED if status == 503 else StatusCategory.FAILURE_ORIGIN
