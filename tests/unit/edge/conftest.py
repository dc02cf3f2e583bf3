"""An edge on a real socket (uvloop, as in production), with an origin that can be slowed down and broken."""

import asyncio
import hashlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from kinema.core.clock import ManualClock
from kinema.core.errors import NotFound
from kinema.core.keys import KeyRing
from kinema.core.media_token import MediaToken, seal
from kinema.http import Server
from kinema.model.encoding import ByteRange, Manifest, Segment, Track, encode_manifest
from kinema.services.edge.node import Edge, create_edge

KIB, MIB = 1 << 10, 1 << 20
HEADER = 4 * KIB
LENGTHS = (300 * KIB, 400 * KIB, 500 * KIB, 900 * KIB, 3 * MIB, 100 * KIB, 7)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}


class Film:
    """A track of seven segments behind a header with an index, and its manifest."""

    def __init__(self, asset: str = "ast_film", lengths: tuple[int, ...] = LENGTHS, seed: int = 1) -> None:
        header = bytearray(random.Random(seed).randbytes(HEADER))
        header[2048 + 4 : 2048 + 8] = b"sidx"
        parts = [random.Random(seed + number).randbytes(length) for number, length in enumerate(lengths, 1)]
        self.data = bytes(header) + b"".join(parts)
        self.asset = asset
        segments, offset = [], HEADER
        for part in parts:
            segments.append(Segment(offset, len(part), 4000, hashlib.sha256(part).hexdigest()))
            offset += len(part)
        self.track = Track(
            name="video-360p",
            kind="video",
            digest=hashlib.sha256(self.data).hexdigest(),
            size=len(self.data),
            codec="avc1.64001f",
            bandwidth=1,
            average_bandwidth=1,
            init=ByteRange(0, 2048),
            index=ByteRange(2048, HEADER - 2048),
            timescale=1000,
            segments=tuple(segments),
        )
        self.manifest = Manifest(asset, 1, "ttl_film", 28.0, 0.0, (self.track,))


class Origin:
    """A parent whose answers a test can hold back, cut short and falsify. It remembers what it was asked."""

    def __init__(self, *films: Film) -> None:
        self.films = {film.asset: film for film in films}
        self.blobs = {film.track.digest: film.data for film in films}
        self.asked: list[tuple[int, int]] = []
        self.manifests_asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.hold_after: int | None = None  # bytes of a slice after which the gate counts
        self.error: Exception | None = None
        self.chunk = 64 * KIB

    async def manifest(self, asset: str, version: int) -> bytes:
        self.manifests_asked += 1
        await asyncio.sleep(0)
        if asset not in self.films or version != 1:
            raise NotFound(f"Version {version} of {asset} is not stored.")
        return encode_manifest(self.films[asset].manifest)

    async def fetch(self, digest: str, start: int, length: int) -> AsyncIterator[bytes]:
        self.asked.append((start, length))
        for offset in range(start, start + length, self.chunk):
            if offset - start >= (self.hold_after or 0):
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            yield self.blobs[digest][offset : min(offset + self.chunk, start + length)]


class Reply:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    """One connection. `get` sends and reads a whole answer; a cut one raises IncompleteReadError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, path: str, method: str = "GET", **headers: str) -> None:
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: edge",
            *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())

    async def head(self) -> Reply:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        return Reply(int(lines[0].split()[1]), fields, b"")

    async def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        self.send(path, method, **headers)
        reply = await self.head()
        if method != "HEAD":
            reply.body = await self.reader.readexactly(int(reply.headers.get("content-length", 0)))
        return reply

    def cut(self) -> None:
        self.writer.transport.abort()


class Setup:
    def __init__(
        self, edge: Edge, server: Server, origin: Origin, film: Film, keys: KeyRing, clock: ManualClock
    ) -> None:
        self.edge, self.server, self.origin, self.film, self.keys, self.clock = edge, server, origin, film, keys, clock
        self.clients: list[Client] = []

    def token(self, asset: str | None = None, seconds: int = 600) -> str:
        return seal(MediaToken(asset or self.film.asset, "acc_1", int(self.clock.now()) + seconds), self.keys)

    def path(
        self, token: str | None = None, asset: str | None = None, version: object = 1, track: str = "video-360p"
    ) -> str:
        return f"/m/{token or self.token()}/{asset or self.film.asset}/{version}/{track}"

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port, limit=1 << 16))
        self.clients.append(client)
        return client

    async def get(self, path: str | None = None, method: str = "GET", **headers: str) -> Reply:
        """Ask on a connection of its own, and let the edge settle: an answer is complete before its slice has its name."""
        try:
            return await (await self.client()).get(path or self.path(), method, **headers)
        finally:
            await self.settled()

    async def settled(self) -> None:
        await until(lambda: not self.edge._cache._fillings)


async def start(tmp_path: Path, origin: Origin, film: Film, keys: KeyRing, clock: ManualClock, capacity: int) -> Setup:
    edge = create_edge(
        name="edge-1", directory=tmp_path / "edge-1", capacity=capacity, keys=keys, clock=clock, parent=origin
    )
    server = Server(edge.handler)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.start(sock)
    return Setup(edge, server, origin, film, keys, clock)


async def stop(setup: Setup) -> None:
    for client in setup.clients:
        client.cut()
    await setup.server.drain(1.0)
    await setup.edge.close()


@pytest.fixture
def film() -> Film:
    return Film()


@pytest.fixture
async def launch(tmp_path: Path, film: Film) -> AsyncIterator[Callable[..., object]]:
    """Start edges on the same directory, one after the other; all are stopped in the end."""
    keys, clock = KeyRing(tmp_path), ManualClock()
    running: list[Setup] = []

    async def begin(*films: Film, capacity: int = 100 * MIB, origin: Origin | None = None) -> Setup:
        while running:
            await stop(running.pop())
        running.append(await start(tmp_path, origin or Origin(film, *films), film, keys, clock, capacity))
        return running[0]

    yield begin
    while running:
        await stop(running.pop())


@pytest.fixture
async def setup(launch) -> Setup:
    return await launch()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition of the edge; fail after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what it waits for is another room's state
            await asyncio.sleep(0.005)
