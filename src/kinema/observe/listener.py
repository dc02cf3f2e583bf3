"""The /metrics page of one process: a listener of its own on loopback, which Prometheus finds by a file.

It is a listener of its own because some processes (a worker) have no other, and because it is then never reachable through a
public port. Everybody on this machine may read it, as with Prometheus's own exporters; a page in a browser may not, by
the way of a name that it lets point here (DNS rebinding): the Host must be a loopback address.

`<data>/run/metrics/<process>.json` is in the form of Prometheus's `file_sd_configs`. A process that was killed leaves its
file behind, so that Prometheus reports it as down; its successor replaces the file.
"""

import socket
from pathlib import Path

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import Forbidden, NotFound
from kinema.core.metrics import Metrics
from kinema.http import Exchange, Limits, Server

DIRECTORY = "run/metrics"
_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class MetricsPage:
    """Serves GET /metrics for as long as it is open; `labels` are put on all series of the process by Prometheus."""

    def __init__(self, metrics: Metrics, clock: Clock, data_dir: Path, process: str, labels: dict[str, str]) -> None:
        self._metrics = metrics
        self._server = Server(self._handle, Limits(connections=16), clock=clock)
        self._path = data_dir / DIRECTORY / f"{process}.json"
        self._labels = {"instance": process, **labels}
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port and write down where."""
        await self._server.start(socket.create_server(("127.0.0.1", 0), backlog=16))
        self.port = self._server.port
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode([{"targets": [f"127.0.0.1:{self.port}"], "labels": self._labels}]))
        temporary.replace(self._path)

    async def close(self) -> None:
        """Stop listening; Prometheus forgets this process."""
        self._path.unlink(missing_ok=True)
        await self._server.drain(0.2)

    def _handle(self, exchange: Exchange) -> None:
        host = (exchange.headers.get(b"host") or b"").decode("latin-1").rpartition(":")[0]
        if host not in _HOSTS:
            exchange.fail(Forbidden("The metrics are for this machine; ask by a loopback address."))
        elif exchange.path != "/metrics" or exchange.method not in {"GET", "HEAD"}:
            exchange.fail(NotFound("There is nothing at this address; GET /metrics."))
        else:
            from kinema.observe.exposition import page  # a process that nobody scrapes starts without it

            accept = b",".join(exchange.headers.get_all(b"accept")).decode("latin-1")
            kind, text = page(self._metrics, accept)
            exchange.reply(200, ((b"content-type", kind.encode()), (b"cache-control", b"no-store")), text)
