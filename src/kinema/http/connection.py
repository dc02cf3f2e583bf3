"""The server's side of one connection: bytes in, exchanges to the handler, answers out in order.

httptools (llhttp in C) cuts the bytes; this class is its callback object and asyncio's protocol at once, so a request
costs no task, no queue and no future. What llhttp lets through and RFC 9112 does not is refused (`checks`). Requests that
were sent behind one another (pipelining) are parsed when they arrive and handled one at a time, so answers cannot
overtake each other; while one waits, the socket is not read.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from kinema.core import problem
from kinema.http.checks import HeadRefused, check_fields, check_size
from kinema.http.exchange import Exchange
from kinema.http.headers import Headers
from kinema.http.heads import JOIN_BYTES, Body, Head, encode_head
from kinema.http.known import KnownHead
from kinema.http.tunnel import Tunnel, take_over

if TYPE_CHECKING:
    from kinema.http.server import Server

NEVER = float("inf")

_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}


class Connection(asyncio.Protocol):
    """One client. The states are told apart by `_current` (being answered) and `_incoming` (body still arriving)."""

    transport: asyncio.Transport
    deadline: float = NEVER  # of the present phase, in the loop's time; looked at by the server's sweep
    peer = ""  # the client's address without the port; empty on a unix socket
    write_paused = False
    can_chunk = True  # the client speaks HTTP/1.1
    fresh = True  # no request has been answered yet

    _current: Exchange | None = None
    _incoming: Exchange | None = None
    _offer: Exchange | None = (
        None  # a request that offers to change the protocol, until the parser has stopped behind it
    )
    _in_head = False
    _at_start = True  # the next byte is the first of a request, and such a request may be taken
    _last_known: KnownHead | None = None
    _known_before: KnownHead | None = None
    _plain: Headers | None = None  # fields of the request just parsed, if it was the only one and nothing special
    _head_bytes = 0
    _fed = 0  # bytes read since the head began, or a little before
    _url = b""
    _keep_alive = True
    _closing = False
    _lingering = False
    _advancing = False
    _reading = True
    _refusal: tuple[int, str] | None = None
    _discarded = 0
    _unsent = 0
    _unsent_since = 0.0

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.limits = server.limits
        self._handler = server.handler
        self._tails = server.tails
        self._known = server.known
        self._queue: deque[Exchange] = deque()
        self._fields: dict[bytes, bytes] = {}
        self._more: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpRequestParser(self)

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with the clock running: a client that connects and says nothing is an idle one."""
        self.transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) and name else ""
        self.transport.set_write_buffer_limits(high=self.limits.write_high_bytes)
        self.deadline = self.server.idle_deadline
        if not self.server.admit(self):
            self._refuse(503, f"This server has {self.limits.connections} connections open; try again shortly.")

    def data_received(self, data: bytes) -> None:
        """Feed the parser; every answer that a handler gives at once is given inside this call."""
        if self._current is None and self._at_start and not self.write_paused:
            known = self._last_known
            headers = None if known is None else known.fields(data)
            if headers is None:
                # A player asks for video and audio in turn.
                self._last_known, self._known_before = self._known_before, known
                known = self._last_known
                headers = None if known is None else known.fields(data)
            if headers is None and (known := self._known.recall(data)) is not None:
                self._last_known = known
                headers = known.fields(data)
            if headers is not None and known is not None:
                self.fresh = False
                self.can_chunk = self._keep_alive = True
                self._current = exchange = Exchange(self, known.method, known.target, headers)
                self.deadline = NEVER
                try:
                    self._handler(exchange)
                except Exception as error:  # noqa: BLE001 (whatever a handler raises is told to the client)
                    exchange.fail(error)
                return
        elif self._closing:
            self._discard(len(data))
            return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        if self._current is not None and self._current.offers:
            self._current.offers = b""  # who asks for another protocol waits for the answer (RFC 6455, 4.1)
        whole = self._at_start
        self._at_start = False
        self._fed = self._head_bytes + len(data)
        self._plain = None
        rest: bytes | memoryview = data
        while True:
            try:
                self._parser.feed_data(rest)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # Unless the handler takes the offer, the request is a plain one; what follows it is the next.
                rest = memoryview(data)[len(data) - len(rest) + upgrade.args[0] :]
                self._take_offer(followed=bool(rest))
                if not rest or self._closing:
                    break
            except httptools.HttpParserError as error:
                if not self._closing:
                    self._refuse(400, f"This is not an HTTP/1.1 request that can be trusted: {error}.")
                break
        if self._in_head:
            if not self._closing:
                self._head_continues(len(data))
            return
        self._at_start = self._incoming is None and not self._closing and not self.server.draining
        if whole and self._plain is not None:
            self._known.remember(data, self._plain)

    def eof_received(self) -> bool | None:
        """The client has sent all it ever will: whoever asks and does not stay to read is taken as gone."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the handler whose answer is not complete; forget the requests behind it."""
        del exc
        self._closing = True
        self.server.release(self)
        self._queue.clear()
        self._incoming = None
        current, self._current = self._current, None
        if current is not None and not (current.finished and current.complete):
            current.disconnect()

    def pause_writing(self) -> None:
        """The kernel's buffer and ours are full: `Exchange.write` returns False from now on."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The client has read enough again."""
        self.write_paused = False
        if self._current is not None:
            self._current.resume_writing()
        elif self._queue:
            self._advance()

    # -- the parser's callbacks --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = True
        self._url = b""
        self._fields = {}
        if self._more:
            self._more = []

    def on_url(self, url: bytes) -> None:
        """The target, or a piece of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One whole field."""
        name = name.lower()
        if name in self._fields:
            self._more.append((name, value))
        else:
            self._fields[name] = value

    def on_headers_complete(self) -> None:
        """Check what llhttp leaves to us, then hand the request on."""
        self._in_head = False
        self._head_bytes = 0
        if self._closing or self._refusal is not None:
            return
        fields = self._fields
        exchange = self._make_exchange(fields)
        if exchange is None:
            return
        if b"content-length" in fields or b"transfer-encoding" in fields:
            self._expect_body(exchange, fields)
        elif b"upgrade" in fields and self._parser.should_upgrade():
            self._offer = exchange
            return
        elif self.can_chunk:
            self._plain = exchange.headers
        self._accept(exchange)

    def _accept(self, exchange: Exchange) -> None:
        """Hand a request on, now or after those before it."""
        if self._current is None and not self.write_paused:
            self._current = exchange
            self._handle(exchange)
        elif len(self._queue) < self.limits.pipelined:
            self._queue.append(exchange)
            self.update_reading()
        else:
            self._refuse(429, f"At most {self.limits.pipelined} requests may wait behind the one being answered.")

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body; thrown away when the request was already answered."""
        exchange = self._incoming
        if exchange is None:
            return
        if exchange.finished:
            self._discard(len(chunk))
        else:
            self.deadline = self.server.now + self.limits.body_seconds
            exchange.receive(chunk)

    def on_message_complete(self) -> None:
        """The end of a request that had a body."""
        exchange, self._incoming = self._incoming, None
        if exchange is None:
            return
        self._discarded = 0
        self.deadline = NEVER
        if exchange.finished:
            exchange.complete = True
            if exchange is self._current:
                self._advance()
        else:
            exchange.receive_end()

    # -- for the exchange --------------------------------------------------------------------------------------------

    def answer(self, exchange: Exchange, head: Head, body: Body, lines: bytes = b"") -> None:
        """Send a whole answer. Most of them keep an HTTP/1.1 connection whose request has arrived: little to decide."""
        size = len(body)
        if self._keep_alive and exchange.complete and head.plain and self.can_chunk:
            start = head.sized if head.length == size else head.size(size)
            tail = self._tails.keep_dated if head.dated else self._tails.keep
            if 0 < size <= JOIN_BYTES and body.__class__ is bytes and exchange.method != "HEAD":
                self.transport.write(b"".join((start, lines, tail, body)))
                self.response_done(exchange)
                return
            start = b"".join((start, lines, tail))
        else:
            start = self.finish_head(exchange, head.extended(lines), size)
        if not size or exchange.method == "HEAD" or head.status == 304:
            self.transport.write(start)
        elif size <= JOIN_BYTES and type(body) is not memoryview:
            self.transport.write(start + body)
        else:
            self.transport.writelines((start, body))
        self.response_done(exchange)

    def finish_head(self, exchange: Exchange, head: Head, length: int | None) -> bytes:
        """Add framing, date and Connection to a head. Decides here whether the connection is kept after this answer."""
        tails = self._tails
        keep = self._keep_alive and not self._queue_ends(exchange)
        if length is None and not self.can_chunk and exchange.method != "HEAD":
            keep = False
        self._keep_alive = keep
        if keep:
            if self.can_chunk:
                tail = tails.keep_dated if head.dated else tails.keep
            else:
                tail = tails.keep_1_0_dated if head.dated else tails.keep_1_0
        else:
            tail = tails.close_dated if head.dated else tails.close
        if head.status in {204, 304}:
            return head.block + tail
        if length is not None:
            return b"%bcontent-length: %d\r\n%b" % (head.block, length, tail)
        if self.can_chunk:
            return b"%btransfer-encoding: chunked\r\n%b" % (head.block, tail)
        return head.block + tail

    def response_done(self, exchange: Exchange) -> None:
        """The last byte of an answer was given to the transport."""
        if not self._keep_alive:
            self._close(exchange)
        elif exchange.complete:
            if self._queue or self._refusal is not None:
                self._advance()
            else:
                self._current = None
                self.deadline = self.server.idle_deadline
                if not self._reading:
                    self.update_reading()  # it was answered while its body was paused
        elif self._incoming is exchange:
            self.update_reading()

    def upgrade(self, head: Head, protocol: bytes) -> Tunnel:
        """Answer 101 and leave the connection to a tunnel; this object is done with."""
        self._closing = True
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        tunnel = take_over(self.transport, self.server, self.limits.tunnel)
        tunnel.write_paused = self.write_paused
        self.server.hand_over(self, tunnel)
        tunnel.write(b"%bconnection: upgrade\r\nupgrade: %b\r\n\r\n" % (head.block, protocol))
        return tunnel

    def close_after_this(self) -> None:
        """Let the present answer be the last."""
        self._keep_alive = False

    def send_continue(self) -> None:
        """Ask a client that waits with its body to send it."""
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def update_reading(self) -> None:
        """Read the socket unless a request waits behind the current one or a body is not being taken."""
        incoming = self._incoming
        read = not self._queue and (incoming is None or incoming.finished or not incoming.wants_pause)
        if read != self._reading and not self._closing:
            self._reading = read
            if read:
                self.transport.resume_reading()
            else:
                self.deadline = NEVER
                self.transport.pause_reading()

    # -- for the server ----------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is being received or answered."""
        return self._current is None and not self._queue and not self._in_head and self._incoming is None

    def drain(self, idle_seconds: float) -> None:
        """Answer no more than what is under way. An idle connection is closed after `idle_seconds`, or after its next answer.

        One whose first request may be on its way gets a second for it at least.
        """
        self._keep_alive = self._at_start = False
        if not self.idle:
            return
        patience = max(1.0, idle_seconds) if self.fresh else idle_seconds
        if patience:
            self.deadline = min(self.deadline, self.server.now + patience)
        else:
            self._finish_transport()

    def sweep(self, now: float) -> None:
        """Close what has used up its time; called by the server every `sweep_seconds`."""
        unsent = self.transport.get_write_buffer_size()
        if unsent and not self._lingering:
            if unsent != self._unsent:
                self._unsent, self._unsent_since = unsent, now
            elif now - self._unsent_since > self.limits.send_seconds:
                self.transport.abort()
            return
        self._unsent = 0
        if now < self.deadline:
            return
        if self._in_head or self._incoming is not None:
            self.deadline = NEVER
            what = "head" if self._in_head else "body"
            if self._incoming is not None and self._incoming.answered:
                self.transport.abort()
            else:
                self._refuse(408, f"The request's {what} did not arrive in time.")
        elif self._lingering:
            self.transport.abort()
        else:
            self._finish_transport()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _make_exchange(self, fields: dict[bytes, bytes]) -> Exchange | None:
        """Make an exchange of the head; None when it was refused."""
        version = self._parser.get_http_version()
        self.can_chunk = version == "1.1"
        method = _METHODS.get(self._parser.get_method())
        if method is None or (not self.can_chunk and version != "1.0"):
            self._refuse(
                501, f"Only HTTP/1.1 and HTTP/1.0 are spoken here, with the methods {', '.join(_METHODS.values())}."
            )
            return None
        try:
            check_size(self._url, fields, self._more, self._fed, self.limits)
            url = check_fields(self._parser.get_method(), self._url, fields, self._more, http_1_1=self.can_chunk)
        except HeadRefused as fault:
            self._refuse(fault.status, fault.detail)
            return None
        has_body = b"content-length" in fields or b"transfer-encoding" in fields
        if has_body and b"upgrade" in fields and self._parser.should_upgrade():
            self._refuse(400, "An upgrade with a body is not taken.")
            return None
        self._keep_alive = self._parser.should_keep_alive() and not self.server.draining
        self.fresh = False
        return Exchange(self, method, url.decode("ascii"), Headers(fields, self._more))

    def _take_offer(self, *, followed: bool) -> None:
        """Hand on a request that offers another protocol, now that the parser has stopped behind it.

        Only a GET in HTTP/1.1 with nothing behind it can be upgraded: what a client sends before it is answered would
        otherwise be read as a request by one party and as the other protocol by the next.
        """
        exchange, self._offer = self._offer, None
        if exchange is None:
            return
        if not followed and exchange.method == "GET" and self.can_chunk:
            exchange.offers = (exchange.headers.get(b"upgrade") or b"").lower()
        self._accept(exchange)

    def _expect_body(self, exchange: Exchange, fields: dict[bytes, bytes]) -> None:
        if b"transfer-encoding" in fields:
            exchange.declared = None
        else:
            exchange.declared = int(fields[b"content-length"])
        exchange.complete = False
        exchange.expects = exchange.declared != 0 and fields.get(b"expect", b"").lower() == b"100-continue"
        self._incoming = exchange

    def _handle(self, exchange: Exchange) -> None:
        self.deadline = NEVER if exchange.complete else self.server.now + self.limits.body_seconds
        try:
            self._handler(exchange)
        except Exception as error:  # noqa: BLE001 (whatever a handler raises is told to the client, and logged if a bug)
            exchange.fail(error)

    def _advance(self) -> None:
        """Go on with the next request that already arrived, or wait for one."""
        self._current = None
        if not self._queue:
            if self._refusal is not None:
                self._refuse(*self._refusal)
            self.deadline = self.server.idle_deadline
            if not self._reading:
                self.update_reading()
            return
        if self._advancing:
            return
        self._advancing = True
        while self._queue and self._current is None and not self._closing and not self.write_paused:
            self._current = self._queue.popleft()
            self._handle(self._current)
        self._advancing = False
        if self._current is None and not self._queue and self._refusal is not None:
            self._refuse(*self._refusal)
        self.update_reading()

    def _queue_ends(self, exchange: Exchange) -> bool:
        """Whether an answer given before its request is complete must be the last.

        The rest of a small body is read and dropped. A large one, one of unknown length, or one that the client holds
        back until it sees 100 Continue (and may then never send), cannot be told from the next request in time.
        """
        if exchange.complete:
            return False
        if exchange.expects or exchange.declared is None:
            return True
        return exchange.declared > self.limits.discard_bytes

    def _head_continues(self, size: int) -> None:
        """A read ended inside a head: start its clock, and bound what is held of it."""
        if not self._head_bytes and self._current is None:
            self.deadline = self.server.now + self.limits.head_seconds
        self._head_bytes += size
        if self._head_bytes > self.limits.head_bytes + self.limits.target_bytes:
            if self._fields or len(self._url) <= self.limits.target_bytes:
                self._refuse(431, f"The request head is larger than {self.limits.head_bytes} bytes.")
            else:
                self._refuse(414, f"The request target is longer than {self.limits.target_bytes} bytes.")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer something that never became an exchange, after the answers before it, and close."""
        self._in_head = False
        if self._queue or (
            self._current is not None and not self._current.finished and self._current is not self._incoming
        ):
            self._refusal = (status, detail)
            return
        current, self._current = self._current, None
        if current is not None and current.answered:
            self.transport.abort()
            return
        self._closing = True
        document = problem.Problem(status=status, title=HTTPStatus(status).phrase, detail=detail)
        body = problem.encode(document)
        head = encode_head(status, ((b"content-type", problem.MEDIA_TYPE.encode()),))
        tail = b"content-length: %d\r\n%b" % (len(body), self._tails.close)
        self.transport.write(head.block + tail + body)
        self._linger()
        if current is not None:
            current.disconnect()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self.limits.discard_bytes * (8 if self._lingering else 1):
            self.transport.abort()

    def _close(self, exchange: Exchange) -> None:
        """Close after the last answer; gently when the client may still be sending."""
        self._closing = True
        self._current = None
        if exchange.complete:
            self._finish_transport()
        else:
            self._linger()

    def _linger(self) -> None:
        """Send FIN but read on for a while: closing with unread bytes would reset the answer away (RFC 9112, 9.6)."""
        self._lingering = True
        self._incoming = None
        self.deadline = self.server.now + self.limits.linger_seconds
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _finish_transport(self) -> None:
        self._closing = True
        self.transport.close()
