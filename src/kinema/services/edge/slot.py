"""The bytes of one slice: a file of the cache directory, opened and mapped.

The page cache is the RAM tier: what is sent is a view of the map, and there is no second copy. Two things can go wrong with a
map, and both are looked for before bytes are handed out:

* A page that is not in memory would stop the whole process while the disk works. `take` asks the kernel with RWF_NOWAIT and
  returns None; the caller lets a thread read (and verify) the slice first.
* A file that somebody truncated would kill the process by SIGBUS when Python touches the map. Our files are never changed
  once they have their name, Python never touches a map (the kernel copies from it, and gets an error instead), and
  what `take` finds shorter or changed counts as not there.
"""

import errno
import hashlib
import hmac
import mmap
import os
from pathlib import Path

from kinema.http.heads import JOIN_BYTES
from kinema.services.edge.slices import Slice

_PROBE_EVERY = 256 * 1024  # bytes between probed pages
LOOK_SECONDS = 1.0  # how often the file's size and time of change are looked at
_HASH_CHUNK = 256 * 1024

_probe = bytearray(1)


class Slot:
    """An open slice. `view` is its map; it stays valid when the file is removed."""

    __slots__ = ("_file", "_flags", "_stamp", "looked_at", "path", "piece", "view")

    def __init__(self, piece: Slice, file: int, path: Path | None) -> None:
        self.piece = piece
        self.path = path
        self._file = file
        self._flags = os.RWF_NOWAIT
        self.looked_at = 0.0
        self._stamp = (0, 0)
        self.view = memoryview(_map(file, piece.length) if file >= 0 else b"")

    @classmethod
    def create(cls, piece: Slice, path: Path) -> "Slot":
        """A new file for a slice that is about to be fetched. Raises OSError when the disk has no room."""
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, piece.length)
            return cls(piece, file, path)
        except BaseException:
            os.close(file)
            path.unlink()
            raise

    @classmethod
    def open(cls, piece: Slice, path: Path) -> "Slot":
        """A slice that is in the cache directory already, to be verified. Raises OSError when it is not, or is shorter."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return cls(piece, file, path)
        except BaseException:
            os.close(file)
            raise

    @classmethod
    def in_memory(cls, piece: Slice) -> "Slot":
        """A place for a slice that is only passed through, when the disk has no room."""
        slot = cls(piece, -1, None)
        slot.view = memoryview(mmap.mmap(-1, piece.length))
        return slot

    def write(self, data: bytes, offset: int) -> None:
        """Put fetched bytes in their place. Blocks."""
        if self._file < 0:
            self.view[offset : offset + len(data)] = data
            return
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file, rest, offset)
            rest = rest[written:]
            offset += written

    def keep(self, path: Path) -> None:
        """Give the complete and verified file its name in the cache, and remember how it looks. Blocks."""
        assert self.path is not None, "only a slice with a file can be kept"
        self.path.rename(path)
        self.path = path
        self._look()

    def verify(self) -> bool:
        """Whether the file has the bytes that the manifest promises; reads all of it into the page cache. Blocks."""
        piece = self.piece
        if self._look() != piece.length:
            return False
        for check in piece.checks:
            digest = hashlib.sha256()
            for offset in range(check.start, check.end, _HASH_CHUNK):
                digest.update(os.pread(self._file, min(_HASH_CHUNK, check.end - offset), offset))
            if not hmac.compare_digest(digest.digest(), check.digest):
                return False
        return piece.index_at is None or os.pread(self._file, 4, piece.index_at) == b"sidx"

    def _look(self) -> int:
        """Remember size and time of change, to notice when somebody changes the file; return the size."""
        status = os.fstat(self._file)
        self._stamp = (status.st_size, status.st_mtime_ns)
        return status.st_size

    def take(self, start: int, end: int, now: float) -> bytearray | memoryview | None:
        """Bytes of the slice, or None when they are not known to be in memory and unchanged. Never blocks.

        `now` is Unix time: the caller has it at hand, and when it jumps back, the file is looked at once more.
        """
        file = self._file
        try:
            if not 0 <= now - self.looked_at <= LOOK_SECONDS:
                status = os.fstat(file)
                if self._stamp != (status.st_size, status.st_mtime_ns):
                    return None
                self.looked_at = now
            if end - start <= JOIN_BYTES:  # the connection copies these behind their head anyway, so they are read
                buffer = bytearray(end - start)
                return buffer if os.preadv(file, (buffer,), start, self._flags) == end - start else None
            position = start
            while True:
                if os.preadv(file, (_probe,), position, self._flags) != 1:
                    return None
                if position == end - 1:
                    return self.view[start:end]
                position = min(position + _PROBE_EVERY, end - 1)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP or not self._flags:
                return None
            self._flags = 0  # a file system in memory, which never waits
            return self.take(start, end, now)

    def close(self) -> None:
        """Close the file. Views that were handed out stay valid."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def remove(self) -> None:
        """Remove the file from the cache directory. Blocks."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _map(file: int, length: int) -> mmap.mmap:
    try:
        return mmap.mmap(file, length, prot=mmap.PROT_READ)
    except ValueError as error:
        raise OSError(errno.EIO, "the cached file is shorter than its slice") from error
