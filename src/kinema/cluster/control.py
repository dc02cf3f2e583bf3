"""What an operator asks of a running supervisor: commands over a Unix socket in the data directory, one JSON object a line.

    -> {"verb": "restart", "processes": ["gateway-1"]}      no names: all of them
    <- {"text": "1 of 1: gateway-1 makes way"}              as it goes
    <- {"text": "...", "state": "done"}                     or "failed"; then the connection ends

The socket stands in `<data>/run`, which only its owner may enter: whoever reaches it could as well kill the processes.
A client that goes away does not end what it asked for; a second command waits for nothing, it is refused.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from kinema.core.errors import BadInput, Conflict, KinemaError, NotFound, Unavailable

_LINE_BYTES = 64 * 1024
_READ_SECONDS = 5.0

Say = Callable[[str], None]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for; `processes` are names, none means all."""

    verb: Literal["restart"]
    processes: tuple[str, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """What is told of it."""

    text: str
    state: Literal["going", "done", "failed"] = "going"


Handle = Callable[[Command, Say], Awaitable[None]]


class ControlSocket:
    """The listening end. `handle` does what a command says, raising a KinemaError when it cannot."""

    def __init__(self, data_dir: Path, handle: Handle) -> None:
        self._data_dir = data_dir
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen, in the place of a supervisor that was killed."""
        with _short_path(self._data_dir) as path:
            self._server = await asyncio.start_unix_server(self._serve, path, limit=_LINE_BYTES)

    async def close(self) -> None:
        """Stop listening and give up what is under way."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _path(self._data_dir).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def tell(progress: Progress) -> None:
            if not writer.is_closing():
                writer.write(msgspec.json.encode(progress) + b"\n")

        try:
            line = await asyncio.wait_for(reader.readline(), _READ_SECONDS)
            command = msgspec.json.decode(line, type=Command)
        except (TimeoutError, ValueError, msgspec.DecodeError) as error:
            tell(Progress(f"This is no command that the supervisor knows: {error}", "failed"))
        else:
            task = asyncio.create_task(self._run(command, tell))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.wait((task,))
        with suppress(OSError):
            await writer.drain()
            writer.close()

    async def _run(self, command: Command, tell: Callable[[Progress], None]) -> None:
        if self._busy:
            tell(Progress("Another command is being carried out; wait until it is done.", "failed"))
            return
        self._busy = True
        try:
            await self._handle(command, lambda text: tell(Progress(text)))
        except KinemaError as error:
            tell(Progress(str(error), "failed"))
        else:
            tell(Progress("", "done"))
        finally:
            self._busy = False


async def send(data_dir: Path, command: Command, say: Say) -> None:
    """Have the supervisor of the region on this data directory carry out a command; `say` hears of each step.

    Raises NotFound when no region runs there, else what the supervisor says went wrong.
    """
    try:
        with _short_path(data_dir) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_BYTES)
    except OSError as error:
        raise NotFound(f"No region runs on {data_dir}; start one with: kinema up --data {data_dir}") from error
    try:
        writer.write(msgspec.json.encode(command) + b"\n")
        while line := await reader.readline():
            progress = msgspec.json.decode(line, type=Progress)
            if progress.state == "failed":
                raise Conflict(progress.text)
            if progress.state == "done":
                return
            say(progress.text)
    finally:
        writer.close()
    raise Unavailable("The supervisor ended before the command was carried out.")


def chosen(names: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the known names that were asked for, in their own order; all for none. Raises BadInput for an unknown one."""
    for name in names:
        if name not in known:
            raise BadInput(f"There is no process {name[:60]!r}; there are {', '.join(known)}.")
    return tuple(name for name in known if not names or name in names)


def _path(data_dir: Path) -> Path:
    return data_dir / "run" / "supervisor.sock"


class _short_path:  # noqa: N801 -- used as a function
    """A way to the socket that fits into the 107 bytes which the kernel takes, however deep the data directory lies."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = _path(data_dir).parent
        self._descriptor = -1

    def __enter__(self) -> str:
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}/supervisor.sock"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
