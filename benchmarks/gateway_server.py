"""The real gateway (`services/gateway`) for the benchmark, in front of one upstream that serves /v1/manifests.

    python -m benchmarks.gateway_server PORT UPSTREAM_PORT DIRECTORY three|all

`three`: the filters Forwarded, RequestId and PlainPath. `all`: every filter that an open route has in production.
"""

import asyncio
import gc
import signal
import socket
import sys
from pathlib import Path

import uvloop

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.http import Client, Server
from kinema.model.discovery import Instance
from kinema.rpc.client import Rpc
from kinema.rpc.directory import Directory
from kinema.services.gateway import create_gateway
from kinema.services.gateway.filters import INBOUND, OUTBOUND

THREE = ("forwarded.Forwarded", "request_id.RequestId", "plain_path.PlainPath")


class OneInstance(Directory):
    """A list that never changes, so that no registry needs to run."""

    def __init__(self, instance: Instance, client: Client, keys: KeyRing) -> None:
        super().__init__((), client, keys, SystemClock(), "bench-1")
        self._one = (instance,)

    def instances(self, service: str) -> tuple[Instance, ...]:
        """Return the upstream, whatever the service."""
        del service
        return self._one


async def serve(port: int, upstream: int, directory: Path, filters: str) -> None:
    """Serve until SIGTERM."""
    clock, keys, client = SystemClock(), KeyRing(directory), Client()
    instance = Instance("playback", "playback-1", f"127.0.0.1:{upstream}", "home", "a", "0")
    rpc = Rpc(OneInstance(instance, client, keys), client, keys, clock, "bench-1")
    gateway = create_gateway(
        rpc=rpc,
        keys=keys,
        clock=clock,
        ui_dir=None,
        upload_limit_bytes=1 << 30,
        inbound=THREE if filters == "three" else INBOUND,
        outbound=() if filters == "three" else OUTBOUND,
    )
    await gateway.start()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    server = Server(gateway.handler)
    await server.start(sock)
    gc.freeze()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.drain(1)
    await gateway.close()
    await client.close()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
