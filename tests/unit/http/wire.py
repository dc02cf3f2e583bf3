"""What the HTTP tests share: a transport in memory for the parsers, and a raw client for real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

from kinema.http import Exchange, Handler, Headers, Limits, Server
from kinema.http.connection import Connection


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.open = True
        self.reading = True

    def write(self, data):
        self.written += data

    def writelines(self, list_of_data):
        for data in list_of_data:
            self.written += data

    def write_eof(self):
        self.open = False

    def can_write_eof(self):
        return True

    def close(self):
        self.open = False

    def abort(self):
        self.open = False

    def is_closing(self):
        return not self.open

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        pass


Seen = tuple[str, str, list[tuple[bytes, bytes]], bytes]


def receive(
    pieces: Sequence[bytes], limits: Limits | None = None, server: Server | None = None
) -> tuple[list[Seen], bytes, bool]:
    """Feed pieces to a connection that answers 200 to each whole request: the requests, the answers, still open."""
    seen: list[Seen] = []

    def handler(exchange: Exchange) -> None:
        body: list[bytes] = []

        def end() -> None:
            seen.append((exchange.method, exchange.target, list(exchange.headers), b"".join(body)))
            exchange.reply(200)

        exchange.read_body(body.append, end, limit=1 << 40)

    server = server or Server(handler, limits)
    server.handler = handler
    connection = Connection(server)
    transport = MemoryTransport()
    connection.connection_made(transport)
    for piece in pieces:
        if piece:
            connection.data_received(piece)
    return seen, bytes(transport.written), transport.open


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut bytes at these places (taken modulo their length)."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


@asynccontextmanager
async def serving(handler: Handler, limits: Limits | None = None) -> AsyncIterator[Server]:
    """A real server on a loopback port."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = Server(handler, limits)
    await server.start(sock)
    try:
        yield server
    finally:
        await server.drain(0)


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (conditions of other processes and of the kernel have no event)
            await asyncio.sleep(0.005)


class Recorder:
    """A sink that remembers what it was told, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.status = 0
        self.headers = Headers({})
        self.body = b""
        self.error: Exception | None = None
        self.over: asyncio.Event = asyncio.Event()

    def on_head(self, status, headers):
        self.events.append("head")
        self.status, self.headers = status, headers

    def on_data(self, chunk):
        if self.events[-1] != "data":
            self.events.append("data")
        self.body += chunk

    def on_end(self):
        self.events.append("end")
        self.over.set()

    def on_error(self, error):
        self.events.append("error")
        self.error = error
        self.over.set()
