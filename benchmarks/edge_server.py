"""The real edge (`services/edge`) for the benchmark: one film of four tracks in a directory, served on one port.

    python -m benchmarks.edge_server PORT DIRECTORY

`prepare` writes the film and returns the addresses; the server process then reads the same directory.
"""

import asyncio
import gc
import hashlib
import signal
import socket
import sys
import time
from pathlib import Path

import uvloop

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.core.media_token import MediaToken, seal
from kinema.http import Server
from kinema.model.encoding import ByteRange, Manifest, Segment, Track, encode_manifest, manifest_key
from kinema.services.edge.node import create_edge
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.content import content_key


async def prepare(directory: Path, files: dict[str, bytes]) -> dict[str, str]:
    """Store each file as a track of one film and return their addresses. Segments are 2 MiB, as slices at most are."""
    blobs = FileBlobs(directory / "blobs")
    tracks = []
    for name, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        await blobs.put(content_key("media", digest), data)
        tracks.append(_track(name, digest, data))
    manifest = Manifest("ast_bench", 1, "ttl_bench", 60.0, 0.0, tuple(tracks))
    await blobs.put(manifest_key("ast_bench", 1), encode_manifest(manifest))
    token = seal(MediaToken("ast_bench", "acc_bench", int(time.time()) + 86_400), KeyRing(directory))
    return {name: f"/m/{token}/ast_bench/1/{name}" for name in files}


def _track(name: str, digest: str, data: bytes) -> Track:
    step = 2 << 20
    segments = tuple(
        Segment(start, len(piece), 4000, hashlib.sha256(piece).hexdigest())
        for start in range(0, len(data), step)
        if (piece := data[start : start + step])
    )
    return Track(
        name=name,
        kind="video",
        digest=digest,
        size=len(data),
        codec="avc1.64001f",
        bandwidth=1,
        average_bandwidth=1,
        init=ByteRange(0, 0),
        index=ByteRange(0, 0),
        timescale=1000,
        segments=segments,
    )


async def serve(port: int, directory: Path) -> None:
    """Serve until SIGTERM."""
    edge = create_edge(
        name="edge-1",
        directory=directory / "cache",
        capacity=1 << 30,
        keys=KeyRing(directory),
        clock=SystemClock(),
        blobs=FileBlobs(directory / "blobs"),
    )
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    server = Server(edge.handler)
    await server.start(sock)
    gc.freeze()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.drain(1)
    await edge.close()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
