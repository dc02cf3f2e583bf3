"""Blobs as files: the embedded engine.

A put writes a temporary file in the directory of its target, makes the content durable (fsync), gives it its name
with link(2), which fails when the name is taken, and makes the name durable (fsync of the directory). Names of
temporary files begin with a dot, which no key segment does. The writer holds a lock (flock) on its
temporary file, so the sweep can tell an abandoned one: the lock of a dead process is free.

All calls that may touch the disk run in threads of the engine's own.
"""

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import ParamSpec, TypeVar

from kinema.core.errors import Conflict, KinemaError, NotFound, StorageFull, Unavailable
from kinema.storage.ports import AlreadyExists, BlobInfo, Body, check_key, check_prefix, check_range
from kinema.storage.threads import Threads

_TEMPORARY = ".put-"
_CHUNK = 1 << 20
_THREADS = 8
_SWEEP_AGE = 60.0  # seconds; a younger temporary file may not have its lock yet

P = ParamSpec("P")
T = TypeVar("T")


class FileBlobs:
    """The `Blobs` and `LocalFiles` ports on a directory. Several processes may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = Threads(_THREADS, "blobs")

    def local_path(self, key: str) -> Path:
        """The file of a blob; see the port `LocalFiles`."""
        return self._root / check_key(key)

    async def put(self, key: str, body: Body) -> int:
        """Store a new blob; see the port."""
        path = self.local_path(key)
        draft = _Draft(path, self._root)
        try:
            await self._run(key, draft.open)
            await self._fill(key, draft, body)
            await self._run(key, draft.publish)
        finally:
            await self._run(key, draft.discard)
        return draft.size

    async def get(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over a blob's bytes; see the port."""
        check_range(start, length)
        reader = _Reader(self.local_path(key))
        try:
            end = await self._run(key, reader.open)
            if length is not None:
                end = min(end, start + length)
            while start < end:
                chunk = await self._run(key, reader.read, min(_CHUNK, end - start), start)
                if not chunk:
                    raise Unavailable(f"The blob {key} was cut short while it was read; check the disk.")
                start += len(chunk)
                yield chunk
        finally:
            reader.close()

    async def size(self, key: str) -> int:
        """Size of a blob in bytes; see the port."""
        return await self._run(key, _file_size, self.local_path(key))

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Iterate over the blobs beneath a prefix; see the port."""
        pending = [check_prefix(prefix)]
        while pending:
            directory = pending.pop()
            directories, blobs = await self._run(directory, _scan, self._root, directory)
            pending += directories
            for blob in blobs:
                yield blob

    async def delete(self, key: str) -> None:
        """Remove a blob; see the port."""
        await self._run(key, _remove, self.local_path(key), self._root)

    async def sweep(self) -> int:
        """Remove what interrupted puts left behind; see the port."""
        return await self._run("", _sweep, self._root)

    async def _fill(self, key: str, draft: "_Draft", body: Body) -> None:
        if isinstance(body, Path):
            with body.open("rb", buffering=0) as source:
                await self._run(key, draft.copy, source)
        elif isinstance(body, AsyncIterable):
            await self._pour(key, draft, body)
        else:
            await self._run(key, draft.write, body)

    async def _pour(self, key: str, draft: "_Draft", stream: AsyncIterable[bytes]) -> None:
        """Write a stream, gathering small chunks so that a thread is not asked for each of them."""
        gathered = bytearray()
        async for chunk in stream:
            gathered += chunk
            if len(gathered) >= _CHUNK:
                await self._run(key, draft.write, gathered)
                gathered = bytearray()
        await self._run(key, draft.write, gathered)

    async def _run(self, key: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work on the blob `key` in a thread, with its errors translated to the port's."""
        try:
            return await self._threads.run(work, *args, **kwargs)
        except OSError as error:
            raise _port_error(error, key) from error


class _Draft:
    """A blob being written: a locked temporary file beside its target. Methods block; they run in threads."""

    def __init__(self, target: Path, root: Path) -> None:
        self._target = target
        self._root = root
        self._path = target.parent / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
        self._file: int | None = None
        self.size = 0

    def open(self) -> None:
        if self._target.exists():  # the usual case of a taken name, found before the work; link(2) decides
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        while self._file is None:
            _make_directories(self._target.parent, self._root)
            with suppress(FileNotFoundError):  # a delete has just removed the empty directory: again
                self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def write(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._opened, view)
            self.size += written
            view = view[written:]

    def copy(self, source: RawIOBase) -> None:
        while chunk := source.read(_CHUNK):
            self.write(chunk)

    def publish(self) -> None:
        os.fsync(self._opened)
        os.link(self._path, self._target)
        try:
            _sync_directory(self._target.parent)
        except OSError:
            self._target.unlink()
            raise

    def discard(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._file)

    @property
    def _opened(self) -> int:
        assert self._file is not None, "open() comes first"
        return self._file


class _Reader:
    """A blob being read. `open` and `read` block; they run in threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def open(self) -> int:
        """Open the file and return its size in bytes."""
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return _size_of_file(os.fstat(self._file))

    def read(self, length: int, offset: int) -> bytes:
        assert self._file is not None, "open() comes first"
        return os.pread(self._file, length, offset)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _port_error(error: OSError, key: str) -> KinemaError:
    if isinstance(error, FileExistsError):
        return AlreadyExists(f"The blob {key} exists already; blobs are stored once and never overwritten.")
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return NotFound(f"There is no blob {key}.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"The disk has no room for the blob {key}; free some space and try again.")
    return Unavailable(f"The blob {key} cannot be reached: {error.strerror or error}.")


def _file_size(path: Path) -> int:
    return _size_of_file(path.stat())


def _size_of_file(status: os.stat_result) -> int:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return status.st_size


def _make_directories(directory: Path, root: Path) -> None:
    """Create the missing directories up to `directory`, each one durable before something is put in it."""
    if directory.is_dir():
        return
    if directory != root:
        _make_directories(directory.parent, root)
        with suppress(FileExistsError, FileNotFoundError):
            directory.mkdir(mode=0o700)
            _sync_directory(directory.parent)
        if directory.is_file():
            raise Conflict(
                f"{directory.relative_to(root)} is a blob, so no key can lie beneath it; choose another key."
            )
    else:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise Unavailable(f"Blobs cannot be kept in {root}: there is a file in the way; move it.") from error


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _scan(root: Path, directory: str) -> tuple[list[str], list[BlobInfo]]:
    """Keys of the subdirectories and the blobs right in one directory (given as a key prefix)."""
    directories: list[str] = []
    blobs: list[BlobInfo] = []
    try:
        entries = os.scandir(root / directory)
    except (FileNotFoundError, NotADirectoryError):
        return directories, blobs
    with entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            key = f"{directory}/{entry.name}" if directory else entry.name
            with suppress(FileNotFoundError):  # deleted meanwhile
                if entry.is_dir():
                    directories.append(key)
                else:
                    status = entry.stat()
                    blobs.append(BlobInfo(key, status.st_size, status.st_mtime))
    return directories, blobs


def _remove(path: Path, root: Path) -> None:
    """Unlink a blob, then the directories that this has left empty."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    with suppress(OSError):  # not empty, or gone already
        for directory in path.parents:
            if directory == root:
                break
            directory.rmdir()


def _sweep(root: Path) -> int:
    removed = 0
    for directory, _, names in os.walk(root):
        for name in names:
            if name.startswith(_TEMPORARY):
                removed += _remove_if_abandoned(Path(directory, name))
    return removed


def _remove_if_abandoned(path: Path) -> bool:
    """Unlink a temporary file unless it is young or its writer lives (holds the lock)."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if time.time() - os.fstat(file).st_mtime < _SWEEP_AGE:
            return False
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(file)
    return True


def open_files(data_dir: Path, url: str) -> FileBlobs:  # noqa: ARG001 -- the signature of all rows
    """Row of `engines.BLOBS`: the directory `<data_dir>/blobs`; there is nothing to configure in `url`."""
    return FileBlobs(data_dir / "blobs")
