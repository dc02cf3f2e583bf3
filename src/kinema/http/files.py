"""Files that are served often: opened once, mapped once, sent from the page cache."""

import mmap
import os
from pathlib import Path


class MappedFile:
    """A file that is written once and renamed into place, never changed: its map is a view of the page cache."""

    __slots__ = ("_map", "size", "view")

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.size = os.fstat(descriptor).st_size
            self._map = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) if self.size else None
        finally:
            os.close(descriptor)
        self.view = memoryview(self._map) if self._map is not None else memoryview(b"")
