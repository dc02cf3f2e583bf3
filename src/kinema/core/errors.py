"""The error tree. Each error's text is one sentence for a person: what was wrong, with which value, what to do.

KinemaError
├── BadInput 400            what was sent cannot be used
│   ├── Unsupported 415     ... because of its type or format
│   └── TooLarge 413        ... because of its size
├── Unauthenticated 401     nobody is signed in
├── Forbidden 403           somebody is, and may not
├── NotFound 404
├── MethodNotAllowed 405    there is something, for other methods
├── Gone 410                it was there and has ended
├── Conflict 409            it is in another state than the request assumes
│   └── PreconditionFailed 412
├── TooMany 429             a limit on how often
├── Unavailable 503         try again later
├── DeadlineExceeded 504    the time given was used up
└── StorageFull 507         no room on the disk or in the quota
"""

from typing import ClassVar


class KinemaError(Exception):
    """Root of all errors that are shown to people. Class attributes say how HTTP speaks of them (RFC 9110, RFC 9457)."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadInput(KinemaError):
    """What was sent cannot be used."""

    status = 400
    code = "bad-input"
    title = "The request cannot be used"


class Unsupported(BadInput):
    """What was sent is of a type or format that is not handled."""

    status = 415
    code = "unsupported"
    title = "This format is not supported"


class TooLarge(BadInput):
    """What was sent is over a limit on size."""

    status = 413
    code = "too-large"
    title = "Too large"


class Unauthenticated(KinemaError):
    """Nobody is signed in, or the sign-in has ended."""

    status = 401
    code = "unauthenticated"
    title = "Sign in first"


class Forbidden(KinemaError):
    """Who asks may not do this."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFound(KinemaError):
    """There is no such thing."""

    status = 404
    code = "not-found"
    title = "Not found"


class MethodNotAllowed(KinemaError):
    """There is something at this address, for other methods than this one."""

    status = 405
    code = "method-not-allowed"
    title = "This method is not allowed here"


class Gone(KinemaError):
    """It was there and has ended for good."""

    status = 410
    code = "gone"
    title = "No longer there"


class Conflict(KinemaError):
    """The thing is in another state than the request assumes."""

    status = 409
    code = "conflict"
    title = "In conflict with the present state"


class PreconditionFailed(Conflict):
    """A condition that the request named (If-Match, an upload's offset) does not hold."""

    status = 412
    code = "precondition-failed"
    title = "A condition of the request does not hold"


class TooMany(KinemaError):
    """A limit on how often something may be done was reached."""

    status = 429
    code = "too-many-requests"
    title = "Too many requests"


class Unavailable(KinemaError):
    """The thing exists and cannot be had right now. `retry_after`: seconds after which it may be, as far as is known."""

    status = 503
    code = "unavailable"
    title = "Not available right now"

    def __init__(self, detail: str, *, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class DeadlineExceeded(KinemaError):
    """The time that the caller gave was used up."""

    status = 504
    code = "deadline-exceeded"
    title = "It took too long"


class StorageFull(KinemaError):
    """There is no room left where the bytes would go."""

    status = 507
    code = "storage-full"
    title = "No storage left"


def error_types() -> tuple[type[KinemaError], ...]:
    """Return every error class of the tree that has a code of its own, parents before their children."""
    found: list[type[KinemaError]] = []
    waiting: list[type[KinemaError]] = [KinemaError]
    while waiting:
        kind = waiting.pop(0)
        if "code" in vars(kind):
            found.append(kind)
        waiting.extend(kind.__subclasses__())
    return tuple(found)
