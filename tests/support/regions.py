"""Whole regions under test: real `kinema up` processes on data directories and ports of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kinema.cluster import region_file
from kinema.cluster.ask import Answer, ask
from kinema.core.errors import KinemaError, NotFound, Unavailable

KINEMA = Path(sys.executable).parent / "kinema"


def free_port() -> int:
    """Return a port such that it and the next one are free."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> object:
    """Return the condition's first true value; fails when `seconds` pass without one."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


class RegionUnderTest:
    """One `kinema up`. `url` is the gateway, `edge` the edge, `address` what the ready line says."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.edge = f"http://127.0.0.1:{self.port + 1}"
        self.address = ""
        self.arguments = arguments
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self._token = ""
        self._process: subprocess.Popen[str] | None = None

    # -- its life ----------------------------------------------------------------------------------------------------

    def start(self, seconds: float = 90.0) -> "RegionUnderTest":
        """Start it and wait for its ready line."""
        command = [str(KINEMA), "up", "--data", str(self.data_dir), "--port", str(self.port), *self.arguments]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        os.set_blocking(self._process.stdout.fileno(), False)
        self.address = str(wait_until(self._ready_line, seconds, "the ready line")).split()[1]
        return self

    def wait_whole(self, seconds: float = 60.0) -> None:
        """Wait until the second instances have joined too."""

        def whole() -> bool:
            found = [one["instance"] for service in self.status()["services"].values() for one in service]
            return {"catalog-2", "playback-2", "members-2", "encoding-2", "gateway-2"} <= set(found)

        wait_until(whole, seconds, "the second instances")

    def interrupt(self) -> float:
        """Send Ctrl-C, wait for its end, and return how many seconds that took."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=20)
        return time.monotonic() - begun

    def kill_supervisor(self) -> None:
        """End the supervisor by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop it, whatever its state."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self._process.kill()
        for pid in self.processes_left():
            os.kill(pid, signal.SIGKILL)

    def _ready_line(self) -> str:
        assert self._process.poll() is None, f"the region ended:\n{self.log.read_text()[-4000:]}"
        line = self._process.stdout.readline()
        return line if line.startswith("ready ") else ""

    # -- looking at it -----------------------------------------------------------------------------------------------

    def processes_left(self) -> list[int]:
        """Return every process of the machine that was started by this region, encoders included."""
        mark = f"KINEMA_DATA={self.data_dir}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z" and int(entry.name) != os.getpid():
                        found.append(int(entry.name))
            except OSError:
                continue
        return found

    def pid(self, name: str) -> int:
        """Return the process id of one of its processes, 0 while it does not run."""
        try:
            processes = region_file.read(self.data_dir).processes
        except NotFound:
            return 0
        return next((process.pid for process in processes if process.name == name), 0)

    def kill(self, name: str) -> int:
        """End a process by SIGKILL and return its id."""
        pid = self.pid(name)
        assert pid, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_replaced(self, name: str, old: int, seconds: float = 30.0) -> None:
        """Wait until another process stands in the place of the one that was killed."""
        wait_until(lambda: self.pid(name) not in (0, old), seconds, f"another {name}")

    def kinema(self, *arguments: str, timeout: float = 180.0) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line on this region's data directory."""
        command = [str(KINEMA), *arguments, "--data", str(self.data_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def status(self) -> dict:
        """Return what `kinema status --json` says."""
        return json.loads(self.kinema("status", "--json").stdout)

    # -- using it ----------------------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        """An operator's bearer token."""
        if not self._token:
            done = self.kinema("token")
            assert done.returncode == 0, done.stderr
            self._token = done.stdout.strip()
        return self._token

    def claim_link(self) -> str:
        """Return a new claim link, which works once."""
        done = self.kinema("claim")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, method: str, path: str, body: bytes | None = None, timeout: float = 10.0, **headers: str) -> Answer:
        """Send a request to the gateway as an operator."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(
            self.url,
            method,
            path,
            headers={"authorization": f"Bearer {self.token}", **named},
            body=body,
            timeout=timeout,
        )

    def ask_patiently(
        self, method: str, path: str, body: bytes | None = None, seconds: float = 10.0, **headers: str
    ) -> Answer:
        """Do the same until an answer below 500 comes, for this many seconds."""

        def answer() -> Answer | None:
            try:
                found = self.ask(method, path, body, 5.0, **headers)
            except KinemaError:
                return None
            return found if found.status < 500 else None

        found = wait_until(answer, seconds, f"an answer to {method} {path}")
        assert isinstance(found, Answer)
        return found

    def add(self, file: Path, title: str) -> str:
        """Upload a film, wait until it is complete, and return its title's id."""
        done = self.kinema("add", str(file), "--title", title, "--wait", "--json")
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
        last = json.loads(done.stdout.splitlines()[-1])
        assert last["state"] == "complete"
        return last["title_id"]


class Viewer:
    """Watches one title as a player does: starts a play, reads the playlists, fetches segment after segment by range."""

    def __init__(self, region: RegionUnderTest, title_id: str) -> None:
        self.region = region
        self.title_id = title_id
        self.play: dict = {}
        self._segments: list[tuple[str, int, int]] = []
        self._next = 0

    def start(self) -> None:
        """Start the play and read one video playlist."""
        body = json.dumps({"title_id": self.title_id}).encode()
        answer = self.region.ask("POST", "/v1/plays", body, content_type="application/json")
        assert answer.status == 201, answer.body
        self.play = answer.json()
        master = self.play["manifest"]["hls"]
        names = [line for line in _get(master).decode().splitlines() if line and not line.startswith("#")]
        base = master.rpartition("/")[0]
        self._segments = _segments(_get(f"{base}/{names[0]}").decode())
        self._next = 0

    def renew(self) -> None:
        """Renew the play, as a player does in its course."""
        answer = self.region.ask("POST", f"/v1/plays/{self.play['play_id']}/renew", b"")
        assert answer.status == 200, answer.body

    def watch(self) -> int:
        """Fetch the next segment and return its size; after the last comes the first again."""
        url, offset, length = self._segments[self._next % len(self._segments)]
        self._next += 1
        body = _get(url, {"range": f"bytes={offset}-{offset + length - 1}"}, 206)
        assert len(body) == length
        return length

    def whole_track(self) -> bytes:
        """Fetch the whole file of the rung that is watched."""
        return _get(self._segments[0][0].partition("?")[0])

    def watch_within(self, seconds: float) -> float:
        """Try to renew and to fetch a segment until both succeed; return how long that took."""
        begun = time.monotonic()

        def succeeds() -> bool:
            try:
                self.renew()
                return self.watch() > 0
            except (KinemaError, AssertionError):
                return False

        wait_until(succeeds, seconds, "playing on")
        return time.monotonic() - begun


def _get(url: str, headers: dict[str, str] | None = None, status: int = 200) -> bytes:
    origin, _, path = url.partition("://")[2].partition("/")
    answer = ask(f"http://{origin}", "GET", f"/{path}", headers=headers, timeout=5.0)
    if answer.status >= 500:
        raise Unavailable(f"{url} answered {answer.status}")
    assert answer.status == status, f"{url} answered {answer.status}: {answer.body[:300]!r}"
    return answer.body


def _segments(playlist: str) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    length = offset = 0
    for line in playlist.splitlines():
        if line.startswith("#EXT-X-BYTERANGE:"):
            size, _, start = line.partition(":")[2].partition("@")
            length = int(size)
            offset = int(start) if start else offset
        elif line and not line.startswith("#"):
            found.append((line, offset, length))
            offset += length
    return found
