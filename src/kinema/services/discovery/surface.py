"""The small ASGI application in front of the service's own: requests, answers and who may ask, for the contracts of others.

Ten thousand instances send a heartbeat every 30 s. A route of the framework costs 400 us of CPU, one here 60 us; and paths
here are taken apart before they are decoded, so that an id may have anything in it.

Who may ask: a caller on this machine, as the registry listens there. With `registry_token` set, whoever has it as
the password of HTTP basic authentication (RFC 7617), which is how Eureka's clients send `http://user:password@host/eureka`;
without it, nobody from elsewhere, and no page in a browser, which says its Origin with all that changes something, even where it
has its own name point to this machine (DNS rebinding). The Host may be any: Envoy sends its cluster's name. What touches the region's own instances needs a sealed identity besides.
"""

import asyncio
import base64
import binascii
import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from kinema.core import identity as identities
from kinema.core import problem
from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Forbidden, KinemaError, TooLarge, Unauthenticated
from kinema.core.identity import Identity
from kinema.core.keys import KeyRing
from kinema.core.log import get_logger
from kinema.services.discovery.eureka_reading import decompress

_BODY_SECONDS = 10.0
_MOST_FIELDS = 300
_log = get_logger(__name__)

Headers = tuple[tuple[bytes, bytes], ...]


class NoMethod(KinemaError):
    """The path is there, but not for this method."""

    status = 405
    code = "no-method"
    title = "This method is not allowed here"


class NotAcceptable(KinemaError):
    """The answer exists in none of the forms that the caller reads."""

    status = 406
    code = "not-acceptable"
    title = "No form of the answer is one that you accept"


class TooSlow(KinemaError):
    """A body did not come in time."""

    status = 408
    code = "too-slow"
    title = "The request took too long to come"


class Reply(msgspec.Struct, frozen=True):
    """What is answered."""

    status: int
    body: bytes = b""
    media_type: str = ""
    headers: Headers = ()


class Request:
    """One request; segments of the path are decoded, header names are in lower case."""

    __slots__ = ("_receive", "headers", "method", "query", "scope", "segments")

    def __init__(self, scope: HTTPScope, receive: Receive) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        self.segments = _segments(raw)
        self.query = _query(scope["query_string"])
        self._receive = receive

    def header(self, name: bytes) -> str:
        """Return a header's value, or an empty text."""
        return self.headers.get(name, b"").decode("latin-1")

    async def body(self, most: int) -> bytes:
        """Return the body, unpacked. Raises TooLarge when it is over `most` bytes, BadInput, TooSlow."""
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise TooLarge(f"The body has {int(length)} bytes; at most {most} are taken here.")
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await self._read(most)
        except TimeoutError as error:
            raise TooSlow(f"The body did not come within {_BODY_SECONDS:g} s; send it at once.") from error
        coding = self.header(b"content-encoding").strip().lower()
        if coding == "gzip":
            return decompress(body, most)
        if coding not in {"", "identity"}:
            raise BadInput(f"The Content-Encoding {coding[:50]!r} is not read here; send gzip or none.")
        return body

    async def _read(self, most: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise BadInput("The body ended before it was whole.")
            size += len(message["body"])
            if size > most:
                raise TooLarge(f"The body is over {most} bytes; no more are taken here.")
            parts.append(message["body"])
            if not message.get("more_body", False):
                return b"".join(parts)


class Access:
    """Who may ask."""

    def __init__(self, keys: KeyRing, clock: Clock, token: str) -> None:
        self._keys = keys
        self._clock = clock
        self._token = token.encode()

    def check(self, request: Request) -> None:
        """Raise Forbidden or Unauthenticated unless this caller may ask at all."""
        if self._token:
            if not hmac.compare_digest(_password(request.headers.get(b"authorization", b"")), self._token):
                raise Unauthenticated("The registry's token is asked for; call http://any:TOKEN@host:port/eureka.")
        elif not _is_loopback(request.scope.get("server")):
            raise Forbidden(
                "Without a token the registry answers this contract on its own machine alone; set registry_token."
            )
        elif b"origin" in request.headers:
            raise Forbidden("A page in a browser may not change the registry; no client of this contract sends Origin.")

    def identity(self, request: Request) -> Identity | None:
        """Return the caller's sealed identity, if it brought one. Raises Unauthenticated when it is not valid."""
        sealed = request.header(identities.HEADER.encode())
        return identities.unseal(sealed, self._keys, self._clock.now()) if sealed else None


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer."""
    headers = [(b"content-length", b"%d" % len(reply.body)), *reply.headers]
    if reply.media_type:
        headers.append((b"content-type", reply.media_type.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


def reply_of(error: BaseException, path: str) -> Reply:
    """Return an error as problem+json."""
    if not isinstance(error, KinemaError):
        _log.error("unexpected error", path=path, exc_info=error)
    document = problem.problem_of(error, instance=path)
    headers: Headers = ((b"cache-control", b"no-store"),)
    if isinstance(error, Unauthenticated):
        headers += ((b"www-authenticate", b'Basic realm="kinema registry", charset="UTF-8"'),)
    if document.status in {429, 503}:
        headers += ((b"retry-after", b"1"),)
    return Reply(document.status, problem.encode(document), problem.MEDIA_TYPE, headers)


def media_type(request: Request) -> str:
    """Return the type of the body, without parameters."""
    return request.header(b"content-type").partition(";")[0].strip().lower()


def _segments(raw: bytes) -> list[str]:
    try:
        parts = [unquote_to_bytes(part).decode() for part in raw.partition(b"?")[0].split(b"/")]
    except UnicodeDecodeError as error:
        raise BadInput("The path is not UTF-8; encode it as RFC 3986 says.") from error
    return [part for part in parts if part]


def _query(raw: bytes) -> Mapping[str, str]:
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadInput(f"The query cannot be read: {error}.") from error
    return dict(reversed(pairs))  # of several of a name the first counts


def _password(header: bytes) -> bytes:
    scheme, _, value = header.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _is_loopback(server: tuple[str, int | None] | None) -> bool:
    if server is None:
        return True  # a UNIX socket
    try:
        return ipaddress.ip_address(server[0]).is_loopback
    except ValueError:
        return False


class Surface:
    """Routes what begins with one of `prefixes` to `handle`, the rest to `otherwise`."""

    def __init__(self, otherwise: ASGIApp, handlers: Mapping[str, "Handler"]) -> None:
        self._otherwise = otherwise
        self._handlers = dict(handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        handler = self._handlers.get(scope["path"][1:].partition("/")[0])
        if handler is None or scope["type"] != ScopeType.HTTP:
            await self._otherwise(scope, receive, send)
            return
        try:
            reply = await handler.handle(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller gets an answer
            reply = reply_of(error, scope["path"])
        await send_reply(send, reply)


class Handler:
    """Answers the requests below one prefix."""

    async def handle(self, request: Request) -> Reply:
        """Return the answer. Raises KinemaError for what is answered as a problem."""
        raise NotImplementedError
