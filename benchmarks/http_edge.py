"""Edge hits against nginx: answers per CPU-second of the server, on one core, load from another.

    python -m benchmarks.http_edge [--seconds 2] [--rounds 3] [--connections 32]

The edge is the real one: token, manifest, cache look-up, counters, residency check, Cache-Status and CORS fields. nginx
serves plain files with sendfile, open_file_cache and no log; it checks no token. Ranges begin anywhere in one of two tracks, which
each connection asks for in turn, as players ask for picture and sound. Rounds alternate between the two, so that what
else the machine does meets both; the figure is the median, and
`best` the ratio of the best rounds, which other work on the machine disturbed least. The last line is one JSON object.

Targets: edge / nginx >= 0.8 at 1 KB, 0.7 at 64 KB, 1.1 at 2 MB.
"""

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.edge_server import prepare
from benchmarks.processes import free_port, load, median_of, nginx_command, started

KB, MB = 1 << 10, 1 << 20

NGINX = """
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log; user root;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; sendfile_max_chunk 2m;
    keepalive_timeout 75; keepalive_requests 1000000000; types {{ }} default_type video/mp4;
    open_file_cache max=1000 inactive=300s; open_file_cache_valid 300s; open_file_cache_min_uses 1;
    server {{
        listen 127.0.0.1:{port} backlog=1024; root {directory}/files;
        add_header Cache-Control "private, max-age=86400, immutable";
        add_header Access-Control-Allow-Origin "*";
        add_header Access-Control-Expose-Headers "content-length, content-range, cache-status, etag";
        add_header Cross-Origin-Resource-Policy "cross-origin";
        add_header Timing-Allow-Origin "*";
    }}
}}
"""

REQUEST = (
    'GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nConnection: keep-alive\r\nsec-ch-ua-platform: "Linux"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n"
    "{range}Accept: */*\r\nOrigin: http://127.0.0.1:8080\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\nReferer: http://127.0.0.1:8080/\r\nAccept-Encoding: identity\r\n\r\n"
)  # what Chromium's fetch sends for a player


class Case:
    """One row: requests by the names of files, asked for in turn, and ranges of them (none: the whole files)."""

    def __init__(self, name: str, files: tuple[str, ...], ranges: list[tuple[int, int]], target: float) -> None:
        self.name = name
        self.files = files
        self.ranges = ranges
        self.target = target

    def requests(self, paths: dict[str, str]) -> list[str]:
        """Return the requests as text."""
        lines = [f"Range: bytes={first}-{first + length - 1}\r\n" for first, length in self.ranges] or [""]
        turns = itertools.cycle(self.files)
        return [REQUEST.format(path=paths[next(turns)], range=line) for line in lines]


def _spans(size: int, length: int, count: int) -> list[tuple[int, int]]:
    """Parts of this length at random places that no 2 MiB segment boundary cuts."""
    chance = random.Random(length)
    return [
        (chance.randrange(size // (2 * MB)) * 2 * MB + chance.randrange(2 * MB - length + 1), length)
        for _ in range(count)
    ]


FILM = ("picture", "sound")
CASES = (
    Case("1 KB", ("1k",), [], 0.8),
    Case("64 KB", ("64k",), [], 0.7),
    Case("2 MB", ("2m",), [], 1.1),
    Case("1 KB range", FILM, _spans(32 * MB, KB, 200), 0.8),
    Case("64 KB range", FILM, _spans(32 * MB, 64 * KB, 200), 0.7),
    Case("2 MB range", FILM, _spans(32 * MB, 2 * MB, 64), 1.1),
)


def main() -> None:
    """Run all cases and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", type=int, default=32)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kinema-bench-") as text, ExitStack() as servers:
        directory = Path(text)
        directory.chmod(0o755)
        sizes = {"1k": KB, "64k": 64 * KB, "2m": 2 * MB, "picture": 32 * MB, "sound": 32 * MB}
        files = {name: random.Random(name).randbytes(size) for name, size in sizes.items()}
        (directory / "files").mkdir()
        for name, data in files.items():
            (directory / "files" / name).write_bytes(data)
        paths = asyncio.run(prepare(directory, files))
        ports = {"edge": free_port()}
        ports["nginx"] = free_port()
        command = nginx_command(directory, NGINX.format(directory=directory, port=ports["nginx"]))
        print(
            f"nginx is {command[0]}; {arguments.rounds} rounds of {arguments.seconds} s, {arguments.connections} connections"
        )
        pids = {
            "edge": servers.enter_context(
                started([sys.executable, "-m", "benchmarks.edge_server", str(ports["edge"]), text], ports["edge"])
            ),
            "nginx": servers.enter_context(started(command, ports["nginx"])),
        }
        _run(arguments, ports, pids, paths)


def _run(
    arguments: argparse.Namespace, ports: dict[str, int], pids: dict[str, list[int]], paths: dict[str, str]
) -> None:
    rows: dict[str, dict[str, float]] = {}
    print(
        f"{'':12} {'edge/CPU-s':>11} {'nginx/CPU-s':>12} {'ratio':>6} {'best':>6} {'target':>6} {'edge p99 ms':>12} {'nginx p99 ms':>13}"
    )
    for case in CASES:
        results: dict[str, list[dict[str, float]]] = {"edge": [], "nginx": []}
        for _ in range(arguments.rounds):
            for server, done in results.items():
                asked = paths if server == "edge" else {name: f"/{name}" for name in paths}
                status = 206 if case.ranges else 200
                done.append(
                    load(
                        ports[server],
                        case.requests(asked),
                        pids[server],
                        connections=arguments.connections,
                        seconds=arguments.seconds,
                        status=status,
                    )
                )
        ours, theirs = (median_of(results[server], "per_cpu_second") for server in ("edge", "nginx"))
        best = [max(result["per_cpu_second"] for result in results[server]) for server in ("edge", "nginx")]
        rows[case.name] = {
            "edge_per_cpu_second": round(ours),
            "nginx_per_cpu_second": round(theirs),
            "ratio": round(ours / theirs, 3),
            "best_rounds_ratio": round(best[0] / best[1], 3),
            "target": case.target,
        }
        print(
            f"{case.name:12} {ours:11,.0f} {theirs:12,.0f} {ours / theirs:6.2f} {best[0] / best[1]:6.2f} {case.target:6.1f}"
            f" {median_of(results['edge'], 'p99_ms'):12.2f} {median_of(results['nginx'], 'p99_ms'):13.2f}",
            flush=True,
        )
    print(msgspec.json.encode(rows).decode())


if __name__ == "__main__":
    main()
