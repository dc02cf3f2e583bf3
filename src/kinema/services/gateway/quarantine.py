"""Which filter files must not run: those whose contents blocked a gateway. One small file each in `<data>/quarantine`.

Contents are known by their SHA-256, so all gateways of a data directory leave them out, a restart too, and changing the
filter (or deleting the entry) lifts the quarantine. Entries are written by a process that is about to end: a file of its own for
each needs no lock.

What is new is tried by one gateway at a time (`alone`), so that what blocks while it is imported or made holds up one of them, and
the others find it in quarantine. The kernel gives the lock back when its process ends, however it ends.
"""

import fcntl
import os
import time
from pathlib import Path

import msgspec

from kinema.core.log import get_logger

FOLDER = "quarantine"
LOCK = "run/filters.lock"
_MOST = 100
_log = get_logger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """Why contents are in quarantine: the file's name, where it stood still, when (Unix seconds) and in which process."""

    file: str
    sha256: str
    where: str
    at: float
    process: str


_decoder = msgspec.json.Decoder(Entry)


class Quarantine:
    """The entries of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / FOLDER
        self._lock = data_dir / LOCK

    def alone(self) -> int | None:
        """Begin to try what is new, and return the descriptor that ends that when it is closed; None: another gateway is at it."""
        self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def add(self, entry: Entry) -> Path:
        """Write an entry down so that it survives this process."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / f"{entry.sha256[:32]}.json"
        temporary = path.with_suffix(f".{time.monotonic_ns()}.tmp")
        temporary.write_bytes(msgspec.json.encode(entry) + b"\n")
        temporary.replace(path)
        return path

    def entries(self) -> dict[str, Entry]:
        """Return what is in quarantine by SHA-256. An entry that cannot be read is passed over, with a line in the log."""
        found: dict[str, Entry] = {}
        if not self.folder.is_dir():
            return found
        paths = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in paths[:_MOST]:
            try:
                entry = _decoder.decode(path.read_bytes())
            except (OSError, msgspec.DecodeError) as error:
                _log.warning("a quarantine entry cannot be read", path=str(path), error=str(error))
                continue
            found[entry.sha256] = entry
        return found
