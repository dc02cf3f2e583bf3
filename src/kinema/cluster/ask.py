"""Plain blocking HTTP for the command line and the supervisor: one request, one answer, nothing kept open."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from kinema.core import identity, problem
from kinema.core.clock import SystemClock
from kinema.core.errors import BadInput, Unavailable
from kinema.core.keys import KeyRing

_CHUNK = 1 << 16


class Answer(msgspec.Struct, frozen=True):
    """What came back. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        """Return the body read as JSON."""
        return json.loads(self.body)


def ask(
    base: str,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterator[bytes] | None = None,
    timeout: float = 10.0,
) -> Answer:
    """Send one request to `http://host:port` or `https://...`. Raises Unavailable when nobody answers in time (seconds)."""
    parts = urlsplit(base)
    kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}.get(parts.scheme)
    if kind is None or not parts.hostname:
        raise BadInput(f"{base!r} is no address of a region; write it as http://host:port or https://host.")
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        # Who answers before the body's end closes the connection; the answer says why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, parts.path.rstrip("/") + path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, b"" if method == "HEAD" else answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            f"{base} does not answer ({str(error) or type(error).__name__}); is the region running?"
        ) from error
    finally:
        connection.close()


def expect(answer: Answer, *statuses: int) -> Answer:
    """Return the answer when its status is one of these, else raise the error that it describes."""
    if answer.status not in statuses:
        raise problem.error_of(answer.status, answer.body)
    return answer


def as_service(data_dir: Path, instance: str) -> dict[str, str]:
    """Return the headers with which a program of this data directory speaks to the services themselves."""
    clock = SystemClock()
    sealed = identity.seal(identity.service_identity(instance, clock.now()), KeyRing(data_dir))
    return {identity.HEADER: sealed, "content-type": "application/json"}
