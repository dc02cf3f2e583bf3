"""Ten thousand instances at one registry: the CPU that their heartbeats cost, and how soon a change is seen.

    python -m benchmarks.registry

The registry runs on one core; registrations, heartbeats (each instance every 30 s, evenly spread) and questions come from the
other. CPU is read from /proc. Targets: heartbeats under 20 % of a core, a delta for one change under 5 ms.

No other registry of Eureka's contract is in the package registries (Netflix's is a Java web archive), so there is no peer.
"""

import argparse
import asyncio
import gzip
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import msgspec

from benchmarks.processes import LOAD_CORE, cpu_seconds, free_port, started

TARGET_PERCENT = 20.0
TARGET_DELTA_MS = 5.0
_RENEWAL_SECONDS = 30.0


class Connection:
    """One kept connection with one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> tuple[int, bytes]:
        """Send a request and return status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=64 << 20)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nhost: registry\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        return int(lines[0].split(b" ")[1]), await reader.readexactly(length)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _instance(number: int) -> bytes:
    app, host = f"SERVICE-{number % 200}", f"10.0.{number // 250}.{number % 250}"
    return msgspec.json.encode(
        {
            "instance": {
                "instanceId": f"{host}:{app.lower()}:8080",
                "hostName": host,
                "app": app,
                "ipAddr": host,
                "vipAddress": app.lower(),
                "secureVipAddress": app.lower(),
                "status": "UP",
                "port": {"$": 8080, "@enabled": "true"},
                "securePort": {"$": 8443, "@enabled": "false"},
                "homePageUrl": f"http://{host}:8080/",
                "statusPageUrl": f"http://{host}:8080/info",
                "healthCheckUrl": f"http://{host}:8080/health",
                "dataCenterInfo": {"@class": "com.netflix.appinfo.MyDataCenterInfo", "name": "MyOwn"},
                "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
                "metadata": {"zone": f"zone-{number % 3}", "management.port": "8081", "version": "1.2.3"},
                "lastDirtyTimestamp": "1700000000000",
            }
        }
    )


def _path(number: int) -> str:
    return f"/eureka/v2/apps/SERVICE-{number % 200}/10.0.{number // 250}.{number % 250}%3Aservice-{number % 200}%3A8080"


async def _register_all(port: int, count: int) -> None:
    todo = iter(range(count))

    async def work() -> None:
        connection = Connection(port)
        for number in todo:
            app = f"/eureka/v2/apps/SERVICE-{number % 200}"
            status, _ = await connection.ask("POST", app, _instance(number), "content-type: application/json\r\n")
            if status != 204:
                raise RuntimeError(f"Registering answered {status}.")
        connection.close()

    await asyncio.gather(*(work() for _ in range(16)))


async def _beat(port: int, count: int, seconds: float, *, kept: bool, delta: bool) -> list[float]:
    """Send the heartbeats of `seconds`, evenly spread; return the milliseconds that each took."""
    pace = count / _RENEWAL_SECONDS
    begin, total = time.perf_counter(), int(pace * seconds)
    todo, waits = iter(range(total)), []

    async def work() -> None:
        connection = Connection(port)
        for turn in todo:
            due = begin + turn / pace
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            query = "?status=UP&lastDirtyTimestamp=1700000000000"
            status, _ = await connection.ask("PUT", _path(turn % count) + query)
            waits.append(1000 * (time.perf_counter() - sent))
            if status != 200:
                raise RuntimeError(f"A heartbeat was answered with {status}.")
            if delta:
                accept = "accept: application/json\r\naccept-encoding: gzip\r\n"
                await connection.ask("GET", "/eureka/v2/apps/delta", headers=accept)
            if not kept:
                connection.close()
        connection.close()

    await asyncio.gather(*(work() for _ in range(32)))
    return waits


async def _changes(port: int, rounds: int, accept: str) -> list[float]:
    """Change one instance's status again and again; return the milliseconds that each delta after it took."""
    connection, waits = Connection(port), []
    for turn in range(rounds):
        value = "DOWN" if turn % 2 == 0 else "UP"
        await connection.ask("PUT", f"{_path(7)}/status?value={value}")
        sent = time.perf_counter()
        _, body = await connection.ask("GET", "/eureka/v2/apps/delta", headers=f"accept: {accept}\r\n")
        waits.append(1000 * (time.perf_counter() - sent))
        if value.encode() not in body:
            raise RuntimeError("The delta does not show the change.")
    connection.close()
    return waits


async def _whole(port: int) -> tuple[float, float, int]:
    """Ask for everything, plain and compressed; return the milliseconds of each and the size of the compressed list."""
    connection = Connection(port)
    accept = "accept: application/json\r\n"
    sent = time.perf_counter()
    await connection.ask("GET", "/eureka/v2/apps", headers=accept)
    plain = time.perf_counter()
    _, packed = await connection.ask("GET", "/eureka/v2/apps", headers=accept + "accept-encoding: gzip\r\n")
    done = time.perf_counter()
    connection.close()
    found = msgspec.json.decode(gzip.decompress(packed))["applications"]["application"]
    if sum(len(application["instance"]) for application in found) == 0:
        raise RuntimeError("The list is empty.")
    return 1000 * (plain - sent), 1000 * (done - plain), len(packed)


def _share(pids: list[int], run: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Return the percentage of a core that the registry used meanwhile, and what the run returned."""
    cpu, begin = cpu_seconds(pids), time.perf_counter()
    waits = run()
    return 100 * (cpu_seconds(pids) - cpu) / (time.perf_counter() - begin), waits


def main() -> None:
    """Run all parts and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--instances", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=5.0)
    arguments = options.parse_args()
    count, seconds = arguments.instances, arguments.seconds
    os.sched_setaffinity(0, {LOAD_CORE})
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="kinema-bench-") as directory:
        command = [sys.executable, "-m", "benchmarks.registry_server", str(port), directory]
        with started(command, port) as pids:
            cpu = cpu_seconds(pids)
            asyncio.run(_register_all(port, count))
            registering = 1e6 * (cpu_seconds(pids) - cpu) / count
            whole = asyncio.run(_whole(port))
            crowded = asyncio.run(_changes(port, 6, "application/json"))
            os.kill(pids[0], signal.SIGUSR1)
            time.sleep(1.5)
            lanes = {
                "heartbeats": _share(pids, lambda: asyncio.run(_beat(port, count, seconds, kept=True, delta=False))),
                "each on a new connection": _share(
                    pids, lambda: asyncio.run(_beat(port, count, seconds, kept=False, delta=False))
                ),
                "with a delta each": _share(
                    pids, lambda: asyncio.run(_beat(port, count, seconds, kept=True, delta=True))
                ),
            }
            deltas = {kind: asyncio.run(_changes(port, 100, f"application/{kind}")) for kind in ("json", "xml")}
    print(f"{count} instances at one registry")
    print(f"{'':28} {'% of a core':>12} {'p50 ms':>8} {'p99 ms':>8}")
    for name, (percent, waits) in lanes.items():
        waits.sort()
        print(f"{name:28} {percent:12.1f} {statistics.median(waits):8.2f} {waits[len(waits) * 99 // 100]:8.2f}")
    for kind, waits in deltas.items():
        waits.sort()
        print(f"{'delta for one change, ' + kind:28} {'':12} {statistics.median(waits):8.2f} {waits[98]:8.2f}")
    print(f"a registration costs {registering:.0f} us of CPU")
    print(f"a delta while all {count} are in it takes {statistics.median(crowded):.0f} ms")
    print(f"everything takes {whole[0]:.0f} ms, compressed {whole[1]:.0f} ms ({whole[2] / 1e6:.1f} MB)")
    result = {
        "heartbeat_percent": round(lanes["heartbeats"][0], 2),
        "heartbeat_percent_new_connections": round(lanes["each on a new connection"][0], 2),
        "heartbeat_and_delta_percent": round(lanes["with a delta each"][0], 2),
        "target_percent": TARGET_PERCENT,
        "delta_ms": {kind: round(statistics.median(waits), 3) for kind, waits in deltas.items()},
        "target_delta_ms": TARGET_DELTA_MS,
        "registration_us": round(registering),
    }
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
