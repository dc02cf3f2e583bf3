"""What an idle device costs a gateway: memory for each open event stream and WebSocket, and the time to tell all of them.

    python -m benchmarks.push_connections [COUNT]

The gateway runs in a process of its own with all its filters; this process holds the clients' ends.
"""

import asyncio
import base64
import json
import multiprocessing
import resource
import socket
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import msgspec
import uvloop

from benchmarks.gateway_server import FixedInstances
from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.http import Client, Exchange, Limits, Server
from kinema.model.members import Who
from kinema.rpc.client import Rpc
from kinema.services.gateway import create_gateway
from kinema.services.gateway.filters import INBOUND
from kinema.services.gateway.push_registry import PushLimits

KINDS = ("sse", "websocket")
_HANDSHAKE = b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: %b\r\n" % (
    base64.b64encode(bytes(16))
)


def _answer(exchange: Exchange) -> None:
    """Be every service: everybody is the same operator."""
    if exchange.path == "/v1/internal/sessions/verify":
        exchange.reply(200, (), msgspec.json.encode(Who("acc_bench", "operator", "s", "")))
    else:
        exchange.reply(503)


async def _serve(most: int, ports: "multiprocessing.Queue[int]") -> None:
    with tempfile.TemporaryDirectory() as directory:
        upstream = Server(_answer)
        await upstream.start(_listener())
        clock, keys, client = SystemClock(), KeyRing(Path(directory)), Client()
        rpc = Rpc(FixedInstances((f"127.0.0.1:{upstream.port}",), client, keys), client, keys, clock, "bench-1")
        gateway = create_gateway(
            rpc=rpc,
            keys=keys,
            clock=clock,
            ui_dir=None,
            upload_limit_bytes=1,
            # One client opens them all, which the rate limit is there to prevent.
            inbound=tuple(row for row in INBOUND if not row.startswith("rate_limit.")),
            push_limits=PushLimits(connections=most, streams=most, per_account=most, per_session=most),
        )
        await gateway.start()
        server = Server(gateway.handler, Limits(connections=most))
        await server.start(_listener())
        ports.put(server.port)
        await asyncio.Event().wait()


def _listener() -> socket.socket:
    opened = socket.socket()
    opened.bind(("127.0.0.1", 0))
    opened.listen(1024)
    return opened


def _run(most: int, ports: "multiprocessing.Queue[int]") -> None:
    uvloop.run(_serve(most, ports))


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _connect(port: int, kind: str, number: int) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = b"host: bench\r\nauthorization: Bearer bench\r\n"
    if kind == "sse":
        opened.sendall(b"GET /v1/events?device=bench-%08d HTTP/1.1\r\n%b\r\n" % (number, lines))
    else:
        opened.sendall(b"GET /v1/push?device=bench-%08d HTTP/1.1\r\n%b%b\r\n" % (number, lines, _HANDSHAKE))
    expected = b" 200 " if kind == "sse" else b" 101 "
    if expected not in opened.recv(4096):
        raise RuntimeError("The gateway did not take the connection.")
    return opened


def _tell(port: int) -> tuple[int, float]:
    """Send one message to everybody; return how many took it, and the seconds until the answer."""
    body = b'{"to": {"kind": "everybody"}, "type": "bench", "data": {"title": "A film of ordinary length"}}'
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/push/messages", body, {"Authorization": "Bearer bench"}
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["devices"], time.perf_counter() - began


def main() -> None:
    """Measure both kinds and print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{'':10} {'connections':>12} {'bytes each':>12} {'told all in':>12}")
    for kind in KINDS:
        ports: multiprocessing.Queue[int] = multiprocessing.Queue()
        process = multiprocessing.Process(target=_run, args=(count + 100, ports), daemon=True)
        process.start()
        port = ports.get(timeout=30)
        warm = [_connect(port, kind, 10**7 + number) for number in range(50)]
        before = _resident(process.pid or 0)
        held = [_connect(port, kind, number) for number in range(count)]
        time.sleep(2)
        each = (_resident(process.pid or 0) - before) / count
        told, seconds = _tell(port)
        print(f"{kind:10} {told:12,} {each:12,.0f} {seconds * 1000:9.0f} ms")
        for one in (*warm, *held):
            one.close()
        process.kill()
        process.join()


if __name__ == "__main__":
    main()
