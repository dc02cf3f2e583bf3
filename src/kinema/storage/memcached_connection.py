"""One connection to a memcached, in its text protocol (doc/protocol.txt of memcached): many commands on their way at once.

memcached answers the commands of a connection in the order in which they came, so the connection keeps the calls that
wait in that order:

    send          the command is written, and a future joins the end of the queue
    an answer     belongs to the first future of the queue, whether anybody still waits for it or not
    a call that   is cancelled leaves its future in the queue, where its answer is taken and thrown away
    a lost        connection fails every future of the queue at once, so nobody waits for a time-out
    silence       of `patience` seconds while the oldest command waits ends the connection: one timer for all calls, and it
                  counts those too whose callers gave up before
    an answer     that is not understood, or says that the command was not, ends the connection: answers may be out of step

A value is taken by its length, whatever it contains; a length that is over the limit ends the connection too.
"""

import asyncio
from collections import deque
from typing import cast

from kinema.storage.ports import MAX_CACHE_VALUE_BYTES

_CRLF = b"\r\n"
_LONGEST_LINE = 2048  # a key of 250 bytes and four numbers, or a sentence about an error
_MOST_WAITING = 10_000
_SINGLE = frozenset((b"STORED", b"NOT_STORED", b"EXISTS", b"NOT_FOUND", b"DELETED", b"TOUCHED", b"OK"))
_NOT_UNDERSTOOD = (b"ERROR", b"CLIENT_ERROR")

Answer = bytes | dict[bytes, bytes]
"""A line such as STORED, or the values of a `get` by key."""


class Refused(Exception):
    """The server did not carry the command out, or the connection was lost; the text says which."""


class Connection(asyncio.Protocol):
    """A protocol of `loop.create_connection`; `patience` is how many seconds an answer may take."""

    def __init__(self, patience: float) -> None:
        self.lost = False
        self.full = False  # what was sent is still in this process; wait for `drained` before sending more
        self._patience = patience
        self._watch: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._sent_at: deque[float] = deque()
        self._received = bytearray()
        self._values: dict[bytes, bytes] = {}
        self._expected: tuple[bytes, int] | None = None  # key and length of the value that is being received
        self._drained = asyncio.Event()
        self._drained.set()

    def send(self, command: bytes) -> "asyncio.Future[Answer]":
        """Write a command and return the future of its answer, which raises `Refused`."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        if self._transport is None or self.lost:
            future.set_exception(Refused("the connection is lost"))
        elif len(self._waiting) >= _MOST_WAITING:
            future.set_exception(Refused(f"{_MOST_WAITING} commands wait for an answer"))
        else:
            self._waiting.append(future)
            self._sent_at.append(self._loop.time())
            self._transport.write(command)
            if self._watch is None:
                self._watch = self._loop.call_later(self._patience, self._look)
        return future

    async def drained(self) -> None:
        """Wait until there is room for more; over at once when the connection is lost."""
        await self._drained.wait()

    def abort(self, reason: str) -> None:
        """End the connection and fail all that wait."""
        self.lost = True
        self.full = False
        self._drained.set()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._transport is not None:
            self._transport.abort()
        self._sent_at.clear()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(Refused(reason))

    def _look(self) -> None:
        """End the connection when the oldest command has waited for too long, else look again when it would have."""
        self._watch = None
        if self._sent_at:
            left = self._sent_at[0] + self._patience - self._loop.time()
            if left <= 0:
                self.abort(f"nothing was answered for {self._patience} s")
            else:
                self._watch = self._loop.call_later(left, self._look)

    # -- what asyncio calls ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all that wait."""
        self.abort(f"the connection is lost ({exc or 'closed by the server'})")

    def pause_writing(self) -> None:
        """Hold up those who would send more."""
        self.full = True
        self._drained.clear()

    def resume_writing(self) -> None:
        """Let them go on."""
        self.full = False
        self._drained.set()

    def data_received(self, data: bytes) -> None:
        """Take whatever answers are whole now."""
        self._received += data
        try:
            while self._step():
                pass
        except (ValueError, IndexError):
            self.abort("the server's answer is not understood")

    # -- answers ---------------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Take one value or one line from what was received; False when neither is whole yet."""
        received = self._received
        if self._expected is not None:
            key, length = self._expected
            if len(received) < length + 2:
                return False
            if received[length : length + 2] != _CRLF:
                raise ValueError(length)
            self._values[key] = bytes(received[:length])
            del received[: length + 2]
            self._expected = None
            return True
        end = received.find(_CRLF, 0, _LONGEST_LINE)
        if end < 0:
            if len(received) >= _LONGEST_LINE:
                raise ValueError(end)
            return False
        line = bytes(received[:end])
        del received[: end + 2]
        self._line(line)
        return not self.lost

    def _line(self, line: bytes) -> None:
        if line.startswith(b"VALUE "):
            _, key, _, length, *_ = line.split(b" ")
            if not self._waiting or not length.isdigit() or int(length) > MAX_CACHE_VALUE_BYTES * 2:
                raise ValueError(line)
            self._expected = (key, int(length))
        elif line == b"END":
            values, self._values = self._values, {}
            self._answer(values)
        elif line in _SINGLE:
            self._answer(line)
        elif line.startswith(b"SERVER_ERROR"):
            self._values = {}
            future = self._next()
            if not future.done():
                future.set_exception(Refused(line.decode("ascii", "replace")))
        elif line.startswith(_NOT_UNDERSTOOD):
            self.abort(line.decode("ascii", "replace"))
        else:
            raise ValueError(line)

    def _answer(self, answer: Answer) -> None:
        future = self._next()
        if not future.done():
            future.set_result(answer)

    def _next(self) -> "asyncio.Future[Answer]":
        self._sent_at.popleft()
        return self._waiting.popleft()
