"""Files that are served often: opened once, mapped once, sent from the page cache without a copy in this process.

A map is only ever handed to the kernel (`writev`), never read here. That matters twice. A file that somebody truncates
although it must never be (files are written once and renamed into place) would kill a process that reads its map with
SIGBUS; a system call that meets the hole reports EFAULT instead, and one connection is cut. And a page that is not in
memory would stop the event loop until the disk has answered, so pages are asked for with `mincore` first (at most once a
second a file) and what is missing is read by a thread.

Where the loop's transport copies what it is given (plain asyncio joins buffers in Python), files go by `pread` in a thread.
"""

import asyncio
import ctypes
import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

SMALL_BYTES = 16 * 1024
"""Files up to this size are held as bytes: a map costs a file descriptor and at least a page, and saves nothing."""

CHUNK_BYTES = 256 * 1024
_TRUST_SECONDS = 1.0
_LOWEST_BIT = bytes(value & 1 for value in range(256))  # the only bit of a mincore byte that has a meaning


class MappedFile:
    """A file that is written once, renamed into place and never changed. Costs one descriptor while it lives.

    Raises OSError when the file cannot be opened. Dropping the last reference unmaps it, after the answers that are
    still being sent from it.
    """

    __slots__ = ("_address", "_map", "_trusted_until", "path", "size", "view")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        self._trusted_until = 0.0
        self.view: bytes | memoryview
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.size = os.fstat(descriptor).st_size
            if self.size <= SMALL_BYTES:
                self.view = os.read(descriptor, SMALL_BYTES)
            else:
                self._map = mmap.mmap(descriptor, self.size, prot=mmap.PROT_READ)
                self.view = memoryview(self._map)
                self._address = _address_of(self._map)
        finally:
            os.close(descriptor)

    def resident(self, offset: int, length: int, now: float) -> bool:
        """Whether this part is in memory; `now` is the loop's time. A whole file found resident is believed for 1 s."""
        if self._map is None or now < self._trusted_until:
            return True
        first = offset - offset % mmap.PAGESIZE
        pages = -(-(offset + length - first) // mmap.PAGESIZE)
        flags = ctypes.create_string_buffer(pages)
        span = ctypes.c_size_t(offset + length - first)
        if _libc().mincore(ctypes.c_void_p(self._address + first), span, flags) or flags.raw.translate(
            _LOWEST_BIT
        ).count(0):
            return False
        if length == self.size:
            self._trusted_until = now + _TRUST_SECONDS
        return True

    def read(self, offset: int, length: int) -> bytes:
        """Read from the disk, blocking: for a thread. May return less than asked for when the file was cut short."""
        if self._map is None:
            return bytes(self.view[offset : offset + length])
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def warm(self, offset: int, length: int) -> None:
        """Bring a part into the page cache, blocking: for a thread. Raises OSError when the file is gone."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            scratch = bytearray(min(length, CHUNK_BYTES))
            for start in range(offset, offset + length, CHUNK_BYTES):
                os.preadv(descriptor, [scratch], start)
        finally:
            os.close(descriptor)


def in_thread(work: Callable[[], bytes | None], done: Callable[["asyncio.Future[bytes | None]"], None]) -> None:
    """Run blocking work in a thread kept for files, then `done` with its settled future on this loop."""
    asyncio.get_running_loop().run_in_executor(_threads(), work).add_done_callback(done)


class _Buffer(ctypes.Structure):
    """CPython's Py_buffer: the only way to learn the address of a read-only map."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


def _address_of(mapped: mmap.mmap) -> int:
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(mapped), ctypes.byref(buffer), 0)
    address = int(buffer.buf)
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return address


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="kinema-files")
