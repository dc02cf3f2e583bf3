"""`<data>/run/`: the lock that lets one region at a time use a data directory, and the file that says where it listens."""

import fcntl
import os
from pathlib import Path

import msgspec

from kinema.core.errors import Conflict, NotFound, StorageFull


class ProcessState(msgspec.Struct, frozen=True):
    """One process as the supervisor sees it. `started_at` is in Unix seconds; `pid` is 0 while it is not running."""

    name: str
    services: tuple[str, ...]
    state: str
    pid: int
    restarts: int
    started_at: float


class Region(msgspec.Struct, frozen=True):
    """A running region: addresses as "host:port", `url` as people open it, and the state of each process."""

    pid: int
    state: str
    url: str
    gateway: str
    edge: str
    registries: tuple[str, ...]
    processes: tuple[ProcessState, ...]


def path_of(data_dir: Path) -> Path:
    """Return where a region writes down what it is."""
    return data_dir / "run" / "region.json"


def write(data_dir: Path, region: Region) -> None:
    """Put the file in place of the one before, readable by its owner alone."""
    path = path_of(data_dir)
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(region))
    temporary.replace(path)


def read(data_dir: Path) -> Region:
    """Return the region that runs on this data directory. Raises NotFound when none does."""
    try:
        region = msgspec.json.decode(path_of(data_dir).read_bytes(), type=Region)
    except (FileNotFoundError, msgspec.DecodeError):
        region = None
    if region is None or not _locked(data_dir):
        raise NotFound(f"No region runs on {data_dir}; start one with: kinema up --data {data_dir}")
    return region


def remove(data_dir: Path) -> None:
    """Delete the file of a region that has ended."""
    path_of(data_dir).unlink(missing_ok=True)


def lock(data_dir: Path) -> int:
    """Take the data directory for this process and return the descriptor that holds it until the process ends.

    Makes the directory. Raises Conflict when another region uses it, StorageFull or Conflict when it cannot be written.
    """
    path = _lock_path(data_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFull(
            f"The data directory {data_dir} cannot be used: {error.strerror}; name another with --data."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict(
            f"Another region runs on {data_dir}; stop it first or name another directory with --data."
        ) from error
    return descriptor


def _lock_path(data_dir: Path) -> Path:
    return data_dir / "run" / "lock"


def _locked(data_dir: Path) -> bool:
    """Say whether a running process holds the lock: a region.json alone may be left over from one that was killed."""
    try:
        descriptor = os.open(_lock_path(data_dir), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
