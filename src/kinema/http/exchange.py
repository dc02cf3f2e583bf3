"""One request and its answer, as a handler sees them.

A handler is called as soon as the head is complete and answers now or later, from any callback of the loop. Two ways
of answering: `reply` or `send` (whole), and `start`/`write`/`finish` (streamed). The request's body is read by callbacks
(`read_body`, `pause_body`, `resume_body`) or awaited whole (`body`). Nothing here starts a task.

A body may be a view of a mapped file. On uvloop it is handed to the kernel as it is (`writev`) and never read in this process,
so a file that somebody cuts short ends the answer (EFAULT) and not the process (SIGBUS). Plain asyncio joins what it is
given: do not send maps there.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from kinema.core import problem
from kinema.core.errors import BadInput, KinemaError, TooLarge
from kinema.core.log import get_logger
from kinema.http.errors import Disconnected
from kinema.http.headers import Fields, Headers
from kinema.http.heads import Body, Head, encode_head
from kinema.http.tunnel import Tunnel

if TYPE_CHECKING:
    from kinema.http.connection import Connection

# How far the answer is.
FRESH, STREAMING, DONE = 0, 1, 2

# How the end of a streamed answer is marked.
BY_LENGTH, BY_CHUNKS, BY_CLOSE, NO_BODY = 0, 1, 2, 3

_log = get_logger(__name__)


class Exchange:
    """A request (`method`, `target`, `headers`) and the means to answer it exactly once."""

    on_disconnect: Callable[[], None] | None = None
    """Called once if the client goes away, or must be cut off, before the answer is complete."""
    on_writable: Callable[[], None] | None = None
    """Called when `write` returned False and the client has taken enough since."""

    _state = FRESH
    _framing = BY_LENGTH
    _left = 0  # bytes of a BY_LENGTH answer still to be written

    complete = True  # the whole request has arrived
    expects = False  # the client waits for 100 Continue
    offers = b""
    """The protocols that the client offers to change to (its Upgrade field in lower case); empty when none can be taken."""
    declared: int | None = 0  # Content-Length; None when chunked
    _on_data: Callable[[bytes], None] | None = None
    _on_end: Callable[[], None] | None = None
    _body_paused = False
    _body_limit = 0
    _received = 0
    _held: list[bytes] | None = None
    _waiter: asyncio.Future[None] | None = None

    def __init__(self, connection: "Connection", method: str, target: str, headers: Headers) -> None:
        self._connection = connection
        self.method = method
        self.target = target
        self.headers = headers

    # -- the request -------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The target up to the question mark, as sent (still percent-encoded)."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target after the question mark, as sent; empty without one."""
        return self.target.partition("?")[2]

    @property
    def peer(self) -> str:
        """The client's address, without the port; empty on a unix socket."""
        return self._connection.peer

    @property
    def has_body(self) -> bool:
        """Whether the request announced a body (Content-Length above zero, or chunked)."""
        return self.declared != 0

    @property
    def body_length(self) -> int | None:
        """Content-Length of the request in bytes; None when it is chunked."""
        return self.declared

    @property
    def answered(self) -> bool:
        """Whether an answer was started, or can no longer be given."""
        return self._state != FRESH

    @property
    def finished(self) -> bool:
        """Whether the answer is complete, or can no longer be completed."""
        return self._state == DONE

    def read_body(
        self, on_data: Callable[[bytes], None], on_end: Callable[[], None], *, limit: int | None = None
    ) -> None:
        """Deliver the body to `on_data` piece by piece, then call `on_end`.

        `limit` in bytes replaces the server's `Limits.body_bytes`. Raises TooLarge when more was announced; when more
        arrives unannounced, the client is answered 413 (or cut off in mid-answer) and `on_disconnect` is called.
        """
        self._body_limit = self._connection.limits.body_bytes if limit is None else limit
        if self.declared is not None and self.declared > self._body_limit:
            raise self._too_large()
        self._on_data, self._on_end = on_data, on_end
        if self.expects:
            self.expects = False
            self._connection.send_continue()
        self._deliver_held()
        self._connection.update_reading()

    def pause_body(self) -> None:
        """Stop deliveries; the socket is no longer read, so the client is slowed down."""
        self._body_paused = True
        self._connection.update_reading()

    def resume_body(self) -> None:
        """Go on with deliveries."""
        self._body_paused = False
        self._deliver_held()
        self._connection.update_reading()

    async def body(self, limit: int | None = None) -> bytes:
        """Return the whole body. Raises TooLarge over `limit` bytes, Disconnected when the client goes away."""
        if not self.has_body:
            return b""
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pieces: list[bytes] = []

        def end() -> None:
            if not arrived.done():
                arrived.set_result(None)

        self._waiter = arrived
        self.read_body(pieces.append, end, limit=limit)
        try:
            await arrived
        finally:
            self._waiter = None
        return b"".join(pieces)

    # -- the answer --------------------------------------------------------------------------------------------------

    def reply(self, status: int, headers: Fields = (), body: Body = b"") -> None:
        """Answer with a whole body; Content-Length is added. Header names are lower case."""
        self.send(encode_head(status, headers), body)

    def send(self, head: Head, body: Body = b"", lines: bytes = b"") -> None:
        """Answer with an encoded head and a whole body: the quickest way, for heads that are sent often.

        `lines` are further fields that `encode_fields` has encoded before, none of them the date.
        """
        if self._state:
            self._refuse_second_answer()
            return
        self._state = DONE
        try:
            self._connection.answer(self, head, body, lines)
        except Exception:
            self._state = FRESH  # nothing was written of what is no head or body
            raise

    def start(self, status: int | Head, headers: Fields = (), length: int | None = None) -> None:
        """Begin a streamed answer of `length` bytes; None when that is not known (chunked, or ended by closing)."""
        if self._state:
            self._refuse_second_answer()
            return
        self._state = STREAMING
        self._left = length or 0
        connection = self._connection
        head = status if isinstance(status, Head) else encode_head(status, headers)
        start = connection.finish_head(self, head, length)
        if self.method == "HEAD" or head.status in {204, 304}:
            self._framing = NO_BODY
        elif length is not None:
            self._framing = BY_LENGTH
        else:
            self._framing = BY_CHUNKS if connection.can_chunk else BY_CLOSE
        connection.transport.write(start)

    def write(self, chunk: bytes | memoryview) -> bool:
        """Send a piece of a streamed answer. False: stop until `on_writable` is called or `writable()` returns.

        Raises ValueError for more bytes than `start` announced. After a disconnect, nothing is sent and False returned.
        """
        if self._state != STREAMING:
            return False
        size = len(chunk)
        connection = self._connection
        if self._framing == BY_CHUNKS:
            if size:
                connection.transport.writelines((b"%x\r\n" % size, chunk, b"\r\n"))
        elif self._framing == BY_LENGTH:
            if size > self._left:
                raise ValueError(f"The answer was announced {size - self._left} bytes shorter than what is written.")
            self._left -= size
            connection.transport.write(chunk)
        elif self._framing == BY_CLOSE:
            connection.transport.write(chunk)
        return not connection.write_paused and self._state == STREAMING

    async def writable(self) -> None:
        """Wait until `write` may go on. Raises Disconnected when the client goes away first."""
        if self._state == DONE:
            raise Disconnected("The client went away before the answer was complete.")
        if not self._connection.write_paused:
            return
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiter = ready
        try:
            await ready
        finally:
            self._waiter = None

    def finish(self) -> None:
        """End a streamed answer. One that is shorter than announced cuts the connection, as `abort` does."""
        if self._state != STREAMING:
            return
        if self._framing == BY_LENGTH and self._left:
            self.abort()
            return
        if self._framing == BY_CHUNKS:
            self._connection.transport.write(b"0\r\n\r\n")
        self._state = DONE
        self._connection.response_done(self)

    def upgrade(self, head: Head, protocol: bytes) -> Tunnel:
        """Answer 101 with the fields of `head` and go over to `protocol`; the connection is the returned tunnel from now on.

        Set the tunnel's callbacks before returning to the event loop; those of the exchange are not called any more. Raises
        BadInput when the client did not offer the protocol, or has sent more before it was answered.
        """
        if self._state:
            raise RuntimeError(f"{self.method} {self.path} is already being answered.")
        if protocol not in [one.strip() for one in self.offers.split(b",")]:
            raise BadInput(
                f"The connection cannot change to {protocol.decode('ascii', 'replace')}: ask for it by Upgrade and "
                "Connection: upgrade, with GET in HTTP/1.1, and send nothing more before the answer."
            )
        self._state = DONE
        self.on_disconnect = self.on_writable = None
        return self._connection.upgrade(head, protocol)

    def close_after_this(self) -> None:
        """End the connection after this answer; say so before the answer is begun."""
        self._connection.close_after_this()

    def abort(self) -> None:
        """Cut the connection: the only honest end of an answer that was started and cannot be completed."""
        if self._state != DONE:
            self._state = DONE
            self._connection.transport.abort()

    def fail(self, error: BaseException) -> None:
        """Answer with the error as problem+json, or cut the connection when an answer was already started.

        What is not a KinemaError is logged, and told to the client as an unexpected error only.
        """
        if not isinstance(error, KinemaError):
            _log.error("a handler failed", method=self.method, path=self.path, exc_info=error)
        if self._state == STREAMING:
            self.abort()
        elif self._state == FRESH:
            document = problem.problem_of(error)
            kind = ((b"content-type", problem.MEDIA_TYPE.encode()),)
            self.reply(document.status, kind, problem.encode(document))

    # -- called by the connection ------------------------------------------------------------------------------------

    def receive(self, chunk: bytes) -> None:
        """Take a piece of the body from the parser."""
        self._received += len(chunk)
        if self._on_data is None or self._body_paused or self._held:
            if self._held is None:
                self._held = []
            self._held.append(chunk)
            self._connection.update_reading()
        elif self._received > self._body_limit:
            self._cut_off(self._too_large())
        else:
            self._call(self._on_data, chunk)

    def receive_end(self) -> None:
        """The parser has seen the whole request."""
        self.complete = True
        if not self._held and self._on_end is not None and not self._body_paused:
            self._end_body()

    @property
    def wants_pause(self) -> bool:
        """Whether the socket should not be read: deliveries are paused, or nobody reads what arrives."""
        if self._body_paused:
            return True
        return self._held is not None and sum(map(len, self._held)) > self._connection.limits.unread_bytes

    def resume_writing(self) -> None:
        """The client has taken enough of what was written."""
        if self._waiter is not None and not self._waiter.done() and self._state == STREAMING:
            self._waiter.set_result(None)
        if self.on_writable is not None:
            self.on_writable()

    def disconnect(self) -> None:
        """The client is gone, or was cut off."""
        self._state = DONE
        self._on_data = self._on_end = self._held = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Disconnected("The client went away before its request was answered."))
        callback, self.on_disconnect = self.on_disconnect, None
        if callback is not None:
            callback()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _deliver_held(self) -> None:
        if self._received > self._body_limit and self._on_data is not None:
            self._cut_off(self._too_large())
            return
        if self._held and self._on_data is not None and self._received > self._body_limit:
            self._cut_off(self._too_large())
            return
        while self._held and self._on_data is not None and not self._body_paused:
            chunk = self._held.pop(0)
            self._call(self._on_data, chunk)
        if self.complete and not self._held and not self._body_paused and self._on_end is not None:
            self._end_body()

    def _end_body(self) -> None:
        on_end, self._on_end, self._on_data = self._on_end, None, None
        if on_end is not None:
            try:
                on_end()
            except Exception as error:  # noqa: BLE001 (a handler's own mistake must not break the connection's parser)
                self._cut_off(error)

    def _call(self, on_data: Callable[[bytes], None], chunk: bytes) -> None:
        try:
            on_data(chunk)
        except Exception as error:  # noqa: BLE001 (see _end_body)
            self._cut_off(error)

    def _cut_off(self, error: Exception) -> None:
        self._on_data = self._on_end = self._held = None
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)  # whoever awaits the body answers
            return
        self.fail(error)
        callback, self.on_disconnect = self.on_disconnect, None
        if callback is not None:
            callback()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than the {self._body_limit} bytes that are taken here; send less.")

    def _refuse_second_answer(self) -> None:
        if self._state == STREAMING:
            raise RuntimeError(f"{self.method} {self.path} is already being answered.")
