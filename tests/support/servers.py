"""Redis and memcached from Debian, started by the tests on free ports of loopback and stopped with them.

with redis_server() as server:      # server.host, server.port, server.address ("127.0.0.1:6380"), server.url (Redis)
    server.kill()                   # as a crash ends it: nothing is said to its clients
    server.start()                  # again, on the same port, empty
    server.pause(); server.resume() # it accepts connections and answers nothing
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SECONDS = 30.0


class CacheServer:
    """One server process that keeps everything in memory; `command` makes its command line from a port."""

    host = "127.0.0.1"

    def __init__(self, name: str, command: Callable[[int], list[str]], question: bytes, answer: bytes) -> None:
        self.name = name
        self.port = 0
        self._command = command
        self._question, self._answer = question, answer
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by stop
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers; a first start looks for a port, later ones keep it."""
        for _ in range(1 if self.port else 5):  # a port may be taken between its choice and its use
            port = self.port or _free_port()
            self._process = subprocess.Popen(self._command(port), stdout=self._log, stderr=self._log, cwd="/")
            if self._answers(port):
                self.port = port
                return
            self.kill()
        self._log.seek(0)
        raise AssertionError(f"{self.name} did not start: {self._log.read()[-3000:].decode(errors='replace')}")

    def kill(self) -> None:
        """End it without a chance to say so."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: the kernel goes on taking connections for it. When this returns, all of its threads stand still."""
        os.kill(self.pid, signal.SIGSTOP)
        deadline = time.monotonic() + SECONDS
        while any(_state(thread) != "T" for thread in Path(f"/proc/{self.pid}/task").iterdir()):
            assert time.monotonic() < deadline, f"{self.name} cannot be paused"
            time.sleep(0.001)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        self.kill()
        self._log.close()

    def _answers(self, port: int) -> bool:
        """Whether it answers, in time and before it ended."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((self.host, port), 1) as sock:
                sock.settimeout(1)
                sock.sendall(self._question)
                if self._answer in _said(sock, self._answer):
                    return self._process.poll() is None
            time.sleep(0.02)
        return False


def _state(thread: Path) -> str:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


def _said(sock: socket.socket, until: bytes) -> bytes:
    said = b""
    while until not in said and (more := sock.recv(4096)):
        said += more
    return said


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found is not None, f"{name} is not installed; run scripts/debian.sh"
    return found


@contextlib.contextmanager
def _running(server: CacheServer) -> Iterator[CacheServer]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[CacheServer]:
    """A Redis that writes nothing to disk. `options` are further words of its command line (`"--maxmemory", "10mb"`)."""
    program = _program("redis-server")

    def command(port: int) -> list[str]:
        fixed = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [program, *fixed, "--dir", tempfile.gettempdir(), *options]

    with _running(CacheServer("redis-server", command, b"PING\r\n", b"+PONG")) as server:
        yield server


@contextlib.contextmanager
def memcached_server(*options: str) -> Iterator[CacheServer]:
    """A memcached on TCP. `options` are further words of its command line (`"-m", "16"`)."""
    program = _program("memcached")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root

    def command(port: int) -> list[str]:
        return [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user, *options]

    with _running(CacheServer("memcached", command, b"version\r\n", b"VERSION ")) as server:
        yield server
