"""One request to another server: what its caller holds, and what its caller gives to hear of the answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from kinema.core.errors import KinemaError
from kinema.http.headers import Fields, Headers, encode_fields

if TYPE_CHECKING:
    from kinema.http.outbound import Outbound
    from kinema.http.pool import Pool
    from kinema.http.tunnel import Tunnel

# Methods that may be sent again when a kept connection turns out to be closed (RFC 9110, 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})

# Methods whose requests say Content-Length: 0 when they have no body (RFC 9110, 8.6).
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_MOST_STARTS = 1024
_LONGEST_KEPT = 512  # characters of a target

_CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


class Sink(Protocol):
    """Who hears of an answer: `on_head`, any number of `on_data`, then `on_end`; or `on_error` at any point, and no more.

    A sink that also has `on_whole(status, headers, body)` may be given an answer that came whole in one piece by that alone.
    """

    def on_head(self, status: int, headers: Headers) -> None:
        """The final head has come (1xx answers are skipped)."""
        ...

    def on_data(self, chunk: bytes) -> None:
        """A piece of the body, without any chunk framing."""
        ...

    def on_end(self) -> None:
        """The answer is complete."""
        ...

    def on_error(self, error: KinemaError) -> None:
        """There will be no (complete) answer: ConnectFailed, PoolFull, ConnectionLost, ResponseInvalid or TimedOut."""
        ...


class Upload(msgspec.Struct, frozen=True):
    """Stands for a request body that is written piece by piece with `Call.write`; length None is sent chunked."""

    length: int | None = None


class Call:
    """A request on its way. Nothing is heard of it any more after `cancel`."""

    on_writable: Callable[[], None] | None = None
    """Called when `write` returned False and more may be written."""
    on_upgrade: "Callable[[Headers, Tunnel], None] | None" = None
    """Called instead of the sink when the answer to a request with `upgrade` is 101: with its fields, and the connection."""

    connection: "Outbound | None" = None
    done = False
    retried = False
    body = b""
    upload: Upload | None = None
    sent = True
    """The whole request was given to the transport."""

    _paused = False
    _ended = False
    _held: list[bytes] | None = None
    _pending: list[bytes] | None = None

    def __init__(
        self, pool: "Pool", method: str, head: bytes, body: bytes | Upload, sink: Sink, deadline: float
    ) -> None:
        self.pool = pool
        self.method = method
        self.sink = sink
        self.deadline = deadline
        self.head = head
        self.on_whole: Callable[[int, Headers, bytes], None] | None = getattr(sink, "on_whole", None)
        if isinstance(body, Upload):
            self.upload = body
            self.sent = False
        elif body:
            self.body = body

    # -- for the caller ----------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Deliver nothing until `resume`; the socket is not read, so the other side is slowed down."""
        self._paused = True
        if self.connection is not None:
            self.connection.update_reading()

    def resume(self) -> None:
        """Go on delivering."""
        self._paused = False
        while self._held and not self._paused and not self.done:
            self.sink.on_data(self._held.pop(0))
        if self.connection is not None:
            self.connection.update_reading()
        if self._ended and not self._paused and not self.done:
            self.done = True
            self.sink.on_end()

    def cancel(self) -> None:
        """Give up: close the connection, or leave the queue for one."""
        if self.done:
            return
        self.done = True
        self._held = None
        self.pool.forget(self)

    def write(self, chunk: bytes) -> bool:
        """Send a piece of an `Upload`. False: wait for `on_writable`."""
        if self.done or self._ended:
            return False
        if self.connection is None:
            if self._pending is None:
                self._pending = []
            self._pending.append(chunk)
            return False
        return self.connection.write_body(self, chunk)

    def finish(self) -> None:
        """End an `Upload`."""
        self.sent = True
        if self.connection is not None:
            self.connection.end_body(self)

    def expire_in(self, seconds: float | None) -> None:
        """Replace the time-out by this many seconds from now; None: wait as long as it takes."""
        self.deadline = self.pool.deadline_in(seconds)

    # -- for pool and connection -------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether the caller asked for a pause."""
        return self._paused and not self.done

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent a second time without the caller's consent."""
        return not self.retried and self.upload is None and self.method in IDEMPOTENT

    def take_pending(self) -> list[bytes]:
        """Return the pieces that were written before there was a connection."""
        pending, self._pending = self._pending, None
        return pending or []

    def deliver(self, chunk: bytes) -> None:
        """Pass a piece of the body on, or hold it while paused."""
        if self._paused or self._held:
            if self._held is None:
                self._held = []
            self._held.append(chunk)
        else:
            self.sink.on_data(chunk)

    def end(self) -> None:
        """The answer is complete."""
        if self._paused or self._held:
            self._ended = True
        elif not self.done:
            self.done = True
            self.sink.on_end()

    def fail(self, error: KinemaError) -> None:
        """There will be no complete answer."""
        if not self.done:
            self.done = True
            self._held = None
            self.sink.on_error(error)


def encode_request(
    method: str,
    target: str,
    headers: Fields | bytes,
    host: str,
    body: bytes | Upload,
    upgrade: bytes = b"",
    starts: dict[tuple[str, str], bytes] | None = None,
) -> bytes:
    """Return a request head. Raises ValueError when target or a field would break it apart, or sets the framing.

    `headers` that are bytes are lines of `encode_fields`, without Host. `starts` keeps what heads to this host begin with.
    """
    framing = _framing(method, body, upgrade) if body or upgrade or method in _WITH_BODY else b"\r\n"
    if not isinstance(headers, bytes):
        named = any(name == b"host" for name, _ in headers)
        return _start(method, target, host, named=named) + encode_fields(headers) + framing
    start = None if starts is None else starts.get((method, target))
    if start is None:
        start = _start(method, target, host, named=False)
        if starts is not None and len(target) <= _LONGEST_KEPT:
            if len(starts) >= _MOST_STARTS:
                starts.clear()
            starts[method, target] = start
    return start + headers + framing


def _start(method: str, target: str, host: str, *, named: bool) -> bytes:
    if not target or not target.isprintable() or " " in target or not method.isalpha():
        raise ValueError(f"The request {method!r} {target!r} has a space, line break or NUL where none may be.")
    start = f"{method} {target} HTTP/1.1\r\n" if named else f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n"
    return start.encode("ascii")


def _framing(method: str, body: bytes | Upload, upgrade: bytes) -> bytes:
    framing = b"\r\n"
    if isinstance(body, Upload):
        framing = _CHUNKED if body.length is None else b"content-length: %d\r\n\r\n" % body.length
    elif body or method in _WITH_BODY:
        framing = b"content-length: %d\r\n\r\n" % len(body)
    if upgrade:
        if framing != b"\r\n" or not upgrade.replace(b"-", b"").isalnum():
            raise ValueError(
                f"A request with a body cannot be upgraded, and {upgrade!r} must be the name of a protocol."
            )
        framing = b"connection: upgrade\r\nupgrade: %b\r\n\r\n" % upgrade
    return framing
