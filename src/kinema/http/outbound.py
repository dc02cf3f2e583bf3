"""The client's side of one connection: sends one request at a time and cuts the answer out of the bytes.

What RFC 9112 (6.3) says of the end of an answer is kept: none after HEAD, 1xx, 204 and 304; chunked; Content-Length;
else the end of the connection, where an answer that stops early cannot be told from a whole one and so is the only
kind that a clean close completes. Everything else that ends early is an error.

A service sends the same head again and again, so heads are known by their bytes, as those of requests are (known.py): of an
answer that came whole in one piece, behind a head that llhttp and our checks took before, only the length is looked at. Its `Headers`
are the object of the first time, so that whoever derived something from them finds it there (`memo`).
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from kinema.core.errors import KinemaError
from kinema.core.log import get_logger
from kinema.http.call import Call
from kinema.http.errors import ConnectionLost, ResponseInvalid
from kinema.http.headers import Headers
from kinema.http.heads import JOIN_BYTES

if TYPE_CHECKING:
    from kinema.http.pool import Pool

MOST_KNOWN = 256
LARGEST_KNOWN = 4096  # bytes

_log = get_logger(__name__)


class KnownAnswer:
    """A head that was parsed before, and the length of the body behind it."""

    __slots__ = ("cut", "head", "headers", "size", "status")

    def __init__(self, head: bytes, status: int, headers: Headers, length: int) -> None:
        self.head = head
        self.cut = len(head)
        self.size = self.cut + length
        self.status = status
        self.headers = headers


class Outbound(asyncio.Protocol):
    """A connection to an origin; `call` is the one being answered, None while it waits in the pool."""

    transport: asyncio.Transport
    call: Call | None = None
    idle_since = 0.0

    _known: KnownAnswer | None = None  # the head of the last answer, if it is known
    _served = 0
    _reading = True
    _heard = False  # a byte of the present answer has arrived
    _head_seen = False
    _head_bytes = 0
    _skipping = False  # inside a 1xx answer
    _until_close = False
    _finished = False
    _extra = False  # bytes came that belong to no answer
    _keep_alive = False
    _write_paused = False
    _fault: KinemaError | None = None
    _switched: Headers | None = None  # fields of a 101 that was asked for

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._limits = pool.limits
        self._fields: dict[bytes, bytes] = {}
        self._more: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)

    # -- for the pool ------------------------------------------------------------------------------------------------

    def begin(self, call: Call) -> None:
        """Send a request."""
        self.call = call
        call.connection = self
        self._served += 1
        self._heard = self._head_seen = self._until_close = self._finished = False
        self._head_bytes = 0
        body = call.body
        if not body:
            self.transport.write(call.head)
            if call.upload is not None:
                self._begin_upload(call)
        elif len(body) > JOIN_BYTES:
            self.transport.writelines((call.head, body))
        else:
            self.transport.write(call.head + body)
        if call.paused:
            self.update_reading()

    def close(self) -> None:
        """Close without waiting for anything."""
        self.call = None
        self.transport.abort()

    # -- for the call ------------------------------------------------------------------------------------------------

    def update_reading(self) -> None:
        """Read the socket unless the caller asked for a pause."""
        read = self.call is None or not self.call.paused
        if read != self._reading and not self.transport.is_closing():
            self._reading = read
            if read:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def write_body(self, call: Call, chunk: bytes) -> bool:
        """Send a piece of an upload; False above the high-water mark."""
        if call.upload is not None and call.upload.length is None:
            if chunk:
                self.transport.writelines((b"%x\r\n" % len(chunk), chunk, b"\r\n"))
        else:
            self.transport.write(chunk)
        return not self._write_paused

    def end_body(self, call: Call) -> None:
        """Send the end of an upload."""
        if call.upload is not None and call.upload.length is None:
            self.transport.write(b"0\r\n\r\n")

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport; the pool gives the first call."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then act on what it found: a callback must not hand this connection on in mid-parse."""
        call = self.call
        if call is None:
            self.transport.abort()  # an origin that speaks unasked
            return
        whole = not self._heard
        if whole and call.method != "HEAD":
            known = self._known
            if known is None or not data.startswith(known.head):
                known = self._known = self._pool.known.get(data[: data.find(b"\r\n\r\n") + 4])
            if known is not None and len(data) == known.size:
                self._take_known(call, known, data[known.cut :])
                return
        self._heard = True
        if not self._head_seen:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._fault is None and not self._finished:
                self._fault = ResponseInvalid(f"{self._pool.origin} sent what is not an HTTP/1.1 response: {error}.")
            self._extra = True
        except httptools.HttpParserUpgrade as upgrade:
            if self._switched is not None and self._fault is None:
                self._hand_over(self._switched, data[upgrade.args[0] :])
                return
            self._fault = ResponseInvalid(f"{self._pool.origin} changed the protocol without being asked.")
        if not self._head_seen and self._head_bytes > self._limits.head_bytes and self._fault is None:
            self._fault = ResponseInvalid(
                f"{self._pool.origin} sent a response head of more than {self._limits.head_bytes} bytes."
            )
        if self._fault is not None:
            self._fail(self._fault)
        elif self._finished:
            if whole and self._keep_alive and not self._extra:
                self._remember(data)
            self._complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Complete an answer that ends with the connection; else say that it was cut, or try once more if that is safe."""
        self._pool.closed(self)
        call = self.call
        if call is None:
            return
        if self._until_close and exc is None:
            self._complete()
            return
        self.call = call.connection = None
        if not self._heard and self._served > 1 and call.repeatable:
            call.retried = True
            self._pool.submit(call, fresh=True)
            return
        when = "in the middle of its response" if self._head_seen else "before it answered"
        call.fail(ConnectionLost(f"{self._pool.origin} closed the connection {when}.", before_head=not self._heard))

    def pause_writing(self) -> None:
        """The kernel's buffer and ours are full."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """The origin has taken enough again."""
        self._write_paused = False
        if self.call is not None and self.call.on_writable is not None:
            self.call.on_writable()

    # -- the parser's callbacks --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if self._finished:
            self._extra = True
        self._fields = {}
        if self._more:
            self._more = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One whole field."""
        name = name.lower()
        if name in self._fields:
            self._more.append((name, value))
        else:
            self._fields[name] = value

    def on_headers_complete(self) -> None:
        """Decide how the answer ends, and tell the caller of its head."""
        call = self.call
        if self._finished or call is None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._skipping = True
            if status == 101 and call.on_upgrade is not None and self._parser.should_upgrade():
                self._switched = Headers(self._fields, self._more)
            return
        self._head_seen = True
        fields = self._fields
        coding = fields.get(b"transfer-encoding")
        if coding is not None and (coding.lower() != b"chunked" or b"content-length" in fields):
            self._fault = ResponseInvalid(f"{self._pool.origin} sent a response whose end cannot be told for certain.")
            return
        if len(fields) + len(self._more) > self._limits.header_count:
            self._fault = ResponseInvalid(
                f"{self._pool.origin} sent a response with more than {self._limits.header_count} header fields."
            )
            return
        bodyless = call.method == "HEAD" or status in {204, 304}
        framed = bodyless or coding is not None or b"content-length" in fields
        self._until_close = not framed
        if bodyless:
            self._keep_alive = b"connection" not in fields and self._parser.get_http_version() == "1.1"
        else:
            self._keep_alive = self._parser.should_keep_alive()
        self._tell(call.sink.on_head, status, Headers(fields, self._more))
        if call.method == "HEAD":
            self._finished = True

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body."""
        call = self.call
        if self._finished or call is None:
            self._extra = True
        elif self._fault is None and not call.done:
            self._tell(call.deliver, chunk)

    def on_message_complete(self) -> None:
        """The end of an answer, or of a 1xx one before it."""
        if self._skipping:
            self._skipping = False
        elif self._fault is None:
            self._finished = True

    # -- inside ------------------------------------------------------------------------------------------------------

    def _take_known(self, call: Call, known: KnownAnswer, body: bytes) -> None:
        """A whole answer behind a known head: what parsing it would lead to. The parser is at the start of an answer, and stays there."""
        on_whole = call.on_whole
        if on_whole is not None and call.sent and not call.paused and not self.transport.is_closing():
            self.call = call.connection = None
            call.done = True
            self._pool.offer(self)
            try:
                on_whole(known.status, known.headers, body)
            except Exception as error:  # noqa: BLE001 (as in _tell)
                call.sink.on_error(self._mistake(error))
            return
        self._heard = self._head_seen = self._finished = self._keep_alive = True
        try:
            call.sink.on_head(known.status, known.headers)
            if body and not call.done:
                call.deliver(body)
        except Exception as error:  # noqa: BLE001 (as in _tell)
            self._mistaken(error)
        if self._fault is not None:
            self._fail(self._fault)
        else:
            self._complete()

    def _remember(self, data: bytes) -> None:
        """Keep the head of an answer that was parsed from exactly these bytes, if its end is told by Content-Length."""
        end = data.find(b"\r\n\r\n") + 4
        length = self._fields.get(b"content-length")
        status = self._parser.get_status_code()
        if length is None or not length.isdigit() or end > LARGEST_KNOWN or self._more or status in {204, 304}:
            return
        if data[9:12] != b"%d" % status or len(data) - end != int(length):
            return  # a 1xx head went before it, or it is an answer to HEAD
        known = self._pool.known
        if len(known) >= MOST_KNOWN:
            known.clear()  # the date is in them, so most are never seen again
        head = data[:end]
        known[head] = KnownAnswer(head, status, Headers(self._fields), int(length))

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call the caller back; its own mistake ends this call, not the parser."""
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001 (any mistake of the receiver ends its own call only)
            self._mistaken(error)

    def _mistaken(self, error: Exception) -> None:
        self._fault = self._mistake(error)

    def _mistake(self, error: Exception) -> ResponseInvalid:
        _log.exception("the receiver of a response failed", origin=self._pool.origin)
        return ResponseInvalid(f"The response of {self._pool.origin} could not be taken: {error}.")

    def _hand_over(self, headers: Headers, rest: bytes) -> None:
        """The origin has changed the protocol as it was asked to: leave the connection to a tunnel, and that to the caller."""
        call, self.call = self.call, None
        if call is None or call.on_upgrade is None:
            self.transport.abort()
            return
        call.connection = None
        call.done = True
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        tunnel = self._pool.hand_over(self)
        try:
            call.on_upgrade(headers, tunnel)
        except Exception:  # noqa: BLE001 (as in _tell)
            _log.exception("the receiver of an upgraded connection failed", origin=self._pool.origin)
            tunnel.abort()
            return
        if rest:
            tunnel.data_received(rest)

    def _begin_upload(self, call: Call) -> None:
        for chunk in call.take_pending():
            self.write_body(call, chunk)
        if call.sent:
            self.end_body(call)
        elif call.on_writable is not None and not self._write_paused:
            call.on_writable()

    def _fail(self, error: KinemaError) -> None:
        call, self.call = self.call, None
        self.transport.abort()
        if call is not None:
            call.connection = None
            call.fail(error)

    def _complete(self) -> None:
        """Give the connection back if it can be used again, then tell the caller."""
        call, self.call = self.call, None
        if call is None:
            return
        call.connection = None
        if (
            self._keep_alive
            and not self._extra
            and not self._until_close
            and call.sent
            and not self.transport.is_closing()
        ):
            if call.method == "HEAD":
                self._parser = httptools.HttpResponseParser(self)  # the old one still waits for the body
            if not self._reading:
                self.update_reading()
            self._pool.offer(self)
        else:
            self.transport.close()
        call.end()
