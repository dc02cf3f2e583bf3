"""Errors on the wire: problem details for HTTP APIs (RFC 9457)."""

import msgspec

from kinema.core.errors import KinemaError, error_types

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members of a problem document; `type` ends in the error's code, `detail` is its sentence."""

    status: int
    title: str
    detail: str = ""
    type: str = "about:blank"
    instance: str = ""


def problem_of(error: BaseException, instance: str = "") -> Problem:
    """Describe an error for the caller. What is not a KinemaError says nothing about our insides."""
    known = (
        error
        if isinstance(error, KinemaError)
        else KinemaError("An unexpected error was logged; try again or tell the operator.")
    )
    return Problem(
        status=known.status,
        title=known.title,
        detail=known.detail,
        type=f"urn:kinema:problem:{known.code}",
        instance=instance,
    )


def encode(problem: Problem) -> bytes:
    """Return the document as JSON bytes."""
    return msgspec.json.encode(problem)


def error_of(status: int, body: bytes) -> KinemaError:
    """Turn a reply of another service back into the error that it stands for.

    The problem's type decides; a reply without a readable problem document is told apart by its status alone.
    """
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(
            status=status, title="", detail=f"The service answered with status {status} and no explanation."
        )
    code = problem.type.rpartition(":")[2]
    by_code = {kind.code: kind for kind in error_types()}
    by_status = {kind.status: kind for kind in reversed(error_types())}
    kind = by_code.get(code) or by_status.get(status) or KinemaError
    return kind(problem.detail or problem.title)
