"""An edge whose parent is the region's own blobs, as it is in the default topology."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.core.media_token import MediaToken, seal
from kinema.http import Server
from kinema.model.encoding import encode_manifest, manifest_key
from kinema.services.edge.node import create_edge
from kinema.storage import content
from kinema.storage.blobs_files import FileBlobs
from tests.unit.edge.conftest import MIB, Client, Film, Setup

PROCESS = """
import asyncio, socket, sys
from pathlib import Path
import uvloop
from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.http import Server
from kinema.services.edge.node import create_edge
from kinema.storage.blobs_files import FileBlobs

async def main(root):
    edge = create_edge(name="edge-1", directory=root / "edge-1", capacity=1 << 30, keys=KeyRing(root),
                       clock=SystemClock(), blobs=FileBlobs(root / "blobs"))
    server = Server(edge.handler)
    await server.start(socket.create_server(("127.0.0.1", 0)))
    print(server.port, flush=True)
    await asyncio.Event().wait()

uvloop.run(main(Path(sys.argv[1])))
"""


@pytest.fixture
async def stored(tmp_path: Path, film: Film) -> FileBlobs:
    blobs = FileBlobs(tmp_path / "blobs")
    assert await content.store(blobs, "media", film.data) == film.track.digest
    await blobs.put(manifest_key(film.asset, 1), encode_manifest(film.manifest))
    return blobs


async def test_a_stored_film_is_served(tmp_path: Path, stored: FileBlobs, film: Film) -> None:
    keys, clock = KeyRing(tmp_path), SystemClock()
    edge = create_edge(
        name="edge-1", directory=tmp_path / "edge-1", capacity=100 * MIB, keys=keys, clock=clock, blobs=stored
    )
    server = Server(edge.handler)
    await server.start(socket.create_server(("127.0.0.1", 0)))
    setup = Setup(edge, server, None, film, keys, clock)
    assert (await setup.get()).body == film.data
    assert (await setup.get(setup.path(version=2))).status == 404
    await stored.delete(content.content_key("media", film.track.digest))
    assert (await setup.get()).body == film.data  # it has its own
    for client in setup.clients:
        client.cut()
    await server.drain(1.0)
    await edge.close()


async def test_a_track_that_the_origin_lost_is_the_parents_failure(
    tmp_path: Path, stored: FileBlobs, film: Film
) -> None:
    await stored.delete(content.content_key("media", film.track.digest))
    keys, clock = KeyRing(tmp_path), SystemClock()
    edge = create_edge(
        name="edge-1", directory=tmp_path / "edge-1", capacity=100 * MIB, keys=keys, clock=clock, blobs=stored
    )
    server = Server(edge.handler)
    await server.start(socket.create_server(("127.0.0.1", 0)))
    setup = Setup(edge, server, None, film, keys, clock)
    reply = await setup.get()
    assert reply.status == 502
    assert "no blob" in json.loads(reply.body)["detail"]
    setup.clients[0].cut()
    await server.drain(1.0)
    await edge.close()


async def test_an_edge_killed_while_it_fills_goes_on_where_it_was(
    tmp_path: Path, stored: FileBlobs, film: Film
) -> None:
    token = seal(MediaToken(film.asset, "acc_1", int(SystemClock().now()) + 600), KeyRing(tmp_path))
    for attempt in range(3):
        process = subprocess.Popen(  # noqa: ASYNC220 -- it answers within a second
            [sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            setup = Setup(None, type("At", (), {"port": port})(), None, film, None, None)
            client: Client = await setup.client()
            client.send(f"/m/{token}/{film.asset}/1/video-360p")
            await client.head()
            wanted = len(film.data) if attempt == 2 else 100_000 * (attempt + 1)
            assert await client.reader.readexactly(wanted) == film.data[:wanted]
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            client.cut()
