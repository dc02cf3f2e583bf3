"""A worker's scratch directory: its own while the worker lives, removed by the next worker when it was killed.

A lock on the directory says that its worker lives; the system lets go of it with the process, however that ends. Whoever
begins removes the directories beside its own that nobody holds.
"""

import fcntl
import os
import shutil
from pathlib import Path

from kinema.core.errors import Unavailable


class Scratch:
    """An empty directory that this process alone uses until it is released."""

    def __init__(self, path: Path) -> None:
        """Take the directory, made when missing, and sweep those beside it. Raises Unavailable when another worker has it."""
        self._path = path
        self._descriptor = _hold(path)
        for other in path.parent.iterdir():
            if other != path and other.is_dir():
                _remove_unheld(other)
        self.empty()

    def empty(self) -> None:
        """Remove what a job has left behind. Raises OSError when something cannot be removed."""
        for entry in self._path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def release(self) -> None:
        """Remove the directory and let go of it."""
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._descriptor)


def _hold(path: Path) -> int:
    while True:
        path.mkdir(parents=True, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise Unavailable(f"Another worker uses {path}; give this one another name.") from error
        os.close(descriptor)


def _remove_unheld(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # somebody else has just removed it
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        pass  # its worker lives
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Say whether the open directory is the one at the path: between opening and locking it, it may have been swept away."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
