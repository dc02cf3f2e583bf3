"""The real gateway (`services/gateway`) for the benchmarks, in front of upstreams that answer for every service.

    python -m benchmarks.gateway_server PORT UPSTREAM_PORTS DIRECTORY three|all

`three`: the filters Forwarded, RequestId and PlainPath. `all`: every filter, as in production; `gateway.toml` in the directory sets them.
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


class FixedInstances(Directory):
    """Lists that never change, so that no registry needs to run: the same upstreams for each service."""

    def __init__(self, addresses: tuple[str, ...], client: Client, keys: KeyRing) -> None:
        super().__init__((), client, keys, SystemClock(), "bench-1")
        self._addresses = addresses
        self._lists: dict[str, tuple[Instance, ...]] = {}

    def instances(self, service: str) -> tuple[Instance, ...]:
        """Return the upstreams, whatever the service."""
        found = self._lists.get(service)
        if found is None:
            found = self._lists[service] = tuple(
                Instance(service, f"{service}-{number}", address, "home", "a", "0")
                for number, address in enumerate(self._addresses, 1)
            )
        return found


async def serve(port: int, upstreams: tuple[str, ...], directory: Path, filters: str) -> None:
    """Serve until SIGTERM."""
    clock, keys, client = SystemClock(), KeyRing(directory), Client()
    rpc = Rpc(FixedInstances(upstreams, client, keys), client, keys, clock, "bench-1")
    gateway = create_gateway(
        rpc=rpc,
        keys=keys,
        clock=clock,
        ui_dir=None,
        upload_limit_bytes=1 << 30,
        data_dir=directory,
        inbound=THREE if filters == "three" else INBOUND,
        outbound=() if filters == "three" else OUTBOUND,
    )
    await gateway.start(watchdog=filters == "all")
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
    origins = tuple(f"127.0.0.1:{port}" for port in sys.argv[2].split(","))
    uvloop.run(serve(int(sys.argv[1]), origins, Path(sys.argv[3]), sys.argv[4]))
