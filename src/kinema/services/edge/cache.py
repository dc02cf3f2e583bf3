"""The cache of an edge: slices in a directory of its own, an index in memory, and at most one fetch for each slice.

    ready(name)      the slice, open and verified: the path of every hit, one look-up
    obtain(slice)    a `Filling` that is shared by all who want the slice meanwhile: from the directory if a
                     former process left it there (verified first), else from the parent

A filling belongs to the cache and not to the request that began it, so that it goes on when that client leaves. Nothing
is kept that does not have the digests of the manifest. The directory is this process's alone (a lock says so).
"""

import asyncio
import fcntl
import os
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from kinema.core.errors import KinemaError, Unavailable
from kinema.core.log import get_logger
from kinema.services.edge.eviction import LeastRecentlyUsed
from kinema.services.edge.filling import Filling, ParentFailed, fetch_into
from kinema.services.edge.parent import Parent
from kinema.services.edge.slices import Slice
from kinema.services.edge.slot import LOOK_SECONDS, Slot
from kinema.services.edge.status import EdgeStatus
from kinema.storage.threads import Threads

_FETCHES = 16  # slices asked of the parent at the same time; further ones queue up
_THREADS = 4
_TEMPORARY = ".fill-"

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

_log = get_logger(__name__)


class SliceCache:
    """Slices of media within `capacity` bytes of a directory."""

    def __init__(
        self,
        directory: Path,
        parent: Parent,
        capacity: int,
        *,
        open_files: int = 256,
        status: EdgeStatus | None = None,
        spawn: Spawn = asyncio.create_task,
    ) -> None:
        self.status = status or EdgeStatus()
        self.status.bytes_limit = capacity
        self._directory = directory
        self._parent = parent
        self._open_files = open_files
        self._spawn = spawn
        self._order = LeastRecentlyUsed(capacity)
        self._slots: OrderedDict[str, Slot] = OrderedDict()  # open and verified; least recently used first
        self._fillings: dict[str, Filling] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_FETCHES)
        self._threads = Threads(_THREADS, "edge")
        self._number = 0
        self._lock = _lock(directory)
        self._rebuild()

    def ready(self, name: str) -> Slot | None:
        """The open slice of this name, which counts as a use; None when it has to be obtained."""
        slot = self._slots.get(name)
        if slot is not None:
            self._slots.move_to_end(name)
            self._order.used(name)
        return slot

    def hit(self, piece: Slice, start: int, end: int, now: float) -> bytearray | memoryview | None:
        """Bytes of the track out of this slice when they can be sent at once, else None; see `Slot.take`.

        It counts as a use of the slice once a second: a slice that is asked for all the time is young anyway.
        """
        slot = self._slots.get(piece.name)
        if slot is None:
            return None
        if not 0 <= now - slot.looked_at <= LOOK_SECONDS:
            self.ready(piece.name)
        first = piece.start
        return slot.take(start - first, end - first, now)

    def obtain(self, piece: Slice) -> Filling:
        """Begin to make a slice ready, or join those who already wait for it."""
        filling = self._fillings.get(piece.name)
        if filling is None:
            filling = self._fillings[piece.name] = Filling(piece)
            filling.from_disk = piece.name in self._order
            task = self._spawn(self._fill(filling))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return filling

    async def close(self) -> None:
        """Give up what is being fetched and close all files."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for slot in self._slots.values():
            slot.close()
        self._slots.clear()
        self._threads.close()
        os.close(self._lock)

    async def _fill(self, filling: Filling) -> None:
        """Make one slice ready and tell those who wait, whatever happens."""
        name = filling.piece.name
        try:
            if not (name in self._order and await self._warm(filling)):
                async with self._turns:
                    await self._fetch(filling)
        except KinemaError as error:
            filling.fail(error)
        except asyncio.CancelledError:
            filling.fail(Unavailable("This edge is stopping; ask again."))
            raise
        except Exception as error:  # noqa: BLE001 -- those who wait must hear of it
            _log.error("a slice could not be cached", slice=name, exc_info=error)
            filling.fail(ParentFailed("The film's data could not be had just now; try again."))
        finally:
            self._fillings.pop(name, None)
            filling.settle()

    async def _warm(self, filling: Filling) -> bool:
        """Read and verify a slice that is in the directory. False when it was not what it should be."""
        piece = filling.piece
        slot = self._slots.pop(piece.name, None)
        try:
            if slot is None:
                slot = await self._threads.run(Slot.open, piece, self._path(piece.name))
            if await self._threads.run(slot.verify):
                self.status.warmed += 1
                self._keep_open(slot)
                filling.complete(slot)
                return True
        except OSError as error:
            _log.warning("a cached file cannot be read", slice=piece.name, reason=str(error))
        self.status.damaged += 1
        _log.warning("a cached file was damaged and is fetched again", slice=piece.name)
        if slot is not None:
            slot.close()
        self._order.removed(piece.name)
        self._path(piece.name).unlink(missing_ok=True)
        filling.from_disk = False
        return False

    async def _fetch(self, filling: Filling) -> None:
        """Get a slice from the parent, into a file when there is room."""
        piece = filling.piece
        self.status.misses += 1
        try:
            slot = await self._threads.run(Slot.create, piece, self._temporary())
        except OSError as error:
            _log.warning("the cache has no room on its disk", reason=str(error))
            self.status.uncached += 1
            slot = Slot.in_memory(piece)
        filling.slot = slot
        try:
            await fetch_into(filling, slot, self._parent, self._threads)
        except BaseException:
            self.status.failed += 1
            await self._threads.run(slot.remove)
            slot.close()
            raise
        if slot.path is not None and await self._threads.run(_keep, slot, self._path(piece.name)):
            self._order.added(piece.name, piece.length)
            self._keep_open(slot)
            await self._make_room()
        filling.complete(slot)

    def _keep_open(self, slot: Slot) -> None:
        """Count a verified slot among the ready ones; the least recently used file is closed when there are too many."""
        self._slots[slot.piece.name] = slot
        self._order.used(slot.piece.name)
        if len(self._slots) > self._open_files:
            _, oldest = self._slots.popitem(last=False)
            oldest.close()
        self._count()

    async def _make_room(self) -> None:
        """Remove what no longer fits. Answers that are being sent keep their bytes: a map outlives its file's name."""
        victims = self._order.victims()
        for name in victims:
            if (slot := self._slots.pop(name, None)) is not None:
                slot.close()
        if victims:
            self.status.evicted += len(victims)
            self._count()
            await self._threads.run(_remove, [self._path(name) for name in victims])

    def _count(self) -> None:
        self.status.slices = len(self._order)
        self.status.bytes_held = self._order.held

    def _path(self, name: str) -> Path:
        return self._directory / name[:2] / name

    def _temporary(self) -> Path:
        self._number += 1
        return self._directory / f"{_TEMPORARY}{os.getpid()}-{self._number}"

    def _rebuild(self) -> None:
        """Make the index from the directory: names say what files are. Oldest first, so that the order survives roughly."""
        found: list[tuple[float, str, int]] = []
        for number in range(256):
            (self._directory / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        for place, _, names in os.walk(self._directory):
            for name in names:
                path = Path(place, name)
                if name == _LOCK:
                    continue
                status = path.stat()
                if name.startswith(_TEMPORARY) or status.st_size != _size_in(name):
                    path.unlink()
                else:
                    found.append((status.st_mtime, name, status.st_size))
        for _, name, size in sorted(found):
            self._order.added(name, size)
        _remove([self._path(name) for name in self._order.victims()])
        self._count()


_LOCK = ".lock"


def _lock(directory: Path) -> int:
    """Take the directory for this process; the kernel frees it when the process ends, however it does."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(directory / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise Unavailable(f"Another edge uses {directory}; give this one another name.") from error
    return file


def _size_in(name: str) -> int:
    """The size that the name of a slice promises; -1 when it is no such name."""
    parts = name.split(".")
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return -1
    return int(parts[2]) - int(parts[1])


def _keep(slot: Slot, path: Path) -> bool:
    """Give a complete slice its name; when that fails, it is served to those who wait and then forgotten."""
    try:
        slot.keep(path)
    except OSError as error:
        _log.warning("a slice could not be kept", slice=path.name, reason=str(error))
        slot.remove()
        slot.close()
        return False
    return True


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
