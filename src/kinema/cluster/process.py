"""One supervised process: started in a group of its own, watched through a pidfd, ended with everything it started."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

_LINE_LIMIT = 1 << 20  # bytes of one log line that are kept together


class RunningProcess:
    """A started child and the group that it leads. Must be made on the main thread of a running event loop."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        inherit: Sequence[int],
        on_line: Callable[[bytes], None],
    ) -> None:
        self.started_at = time.time()
        self._child = subprocess.Popen(  # noqa: S603 -- the supervisor's own command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # not a session of its own: niceness counts only among those of one session (autogroup)
            pass_fds=tuple(inherit),
            env=dict(environment),
        )
        self.pid = self._child.pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._on_line = on_line
        self._partial = b""
        self._watch()

    def terminate(self) -> None:
        """Ask the process itself to end (SIGTERM); what it started is its own affair until then."""
        self._signal_one(signal.SIGTERM)

    def interrupt(self) -> None:
        """Tell one of our own processes that the whole region stops (SIGINT): nobody is left whom it should wait for."""
        self._signal_one(signal.SIGINT)

    def make_way(self) -> None:
        """Tell one of our own processes that another will take its place (SIGHUP, see core.stopping)."""
        self._signal_one(signal.SIGHUP)

    def kill(self) -> None:
        """End the process and everything in its group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal_one(self, number: signal.Signals) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._on_end)
        assert self._child.stdout is not None
        self._pipe = self._child.stdout.fileno()
        os.set_blocking(self._pipe, False)
        loop.add_reader(self._pipe, self._on_output)

    def _on_end(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.kill()  # before the leader is reaped, so that the group's number can be nobody else's
        code = self._child.wait()
        self._on_output()
        self._close_pipe()
        if not self.ended.done():
            self.ended.set_result(code)

    def _on_output(self) -> None:
        while self._pipe >= 0:
            try:
                chunk = os.read(self._pipe, 65536)
            except BlockingIOError:
                return
            if not chunk:
                self._close_pipe()
                return
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            for line in lines:
                self._on_line(line)
            if len(self._partial) > _LINE_LIMIT:
                self._on_line(self._partial)
                self._partial = b""

    def _close_pipe(self) -> None:
        if self._pipe < 0:
            return
        asyncio.get_running_loop().remove_reader(self._pipe)
        self._pipe = -1
        if self._child.stdout is not None:
            self._child.stdout.close()
        if self._partial:
            self._on_line(self._partial)
            self._partial = b""


def child_command(death_fd: int, *rest: str) -> list[str]:
    """Return the command line of a process that begins in `kinema.cluster.child`."""
    return [sys.executable, "-m", "kinema.cluster.child", str(death_fd), *rest]


def explain(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
