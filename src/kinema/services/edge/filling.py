"""A slice on its way into the cache, and how far it may already be served.

Those who wait are told whenever more is available, so they are served as bytes arrive. The last byte of a segment is
held back until the segment's digest is verified: a client can receive part of a damaged segment, never a whole one,
and sees its connection cut instead of a film that is subtly wrong.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from kinema.core.errors import DeadlineExceeded, KinemaError
from kinema.services.edge.parent import Parent
from kinema.services.edge.slices import Slice
from kinema.services.edge.slot import Slot
from kinema.storage.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PARENT_SECONDS = 10.0  # longest silence of the parent


class ParentFailed(KinemaError):
    """The parent cannot deliver, or delivered something else."""

    status = 502
    code = "parent-failed"
    title = "The film's data cannot be reached"


class Filling:
    """A slice that is being made ready. `available` bytes from its start may be served from `slot`."""

    def __init__(self, piece: Slice) -> None:
        self.piece = piece
        self.slot: Slot | None = None
        self.available = 0
        self.error: KinemaError | None = None
        self.from_disk = False
        self._asked = 0
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> bool:
        """Have `watcher` called whenever there is more, or an end. Returns whether it is the first to ask."""
        self._watchers.append(watcher)
        self._asked += 1
        return self._asked == 1

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Stop calling it."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def grow(self, available: int) -> None:
        """Bytes up to here may be served from now on."""
        if available > self.available:
            self.available = available
            self._tell()

    def complete(self, slot: Slot) -> None:
        """All of it may be served."""
        self.slot = slot
        self.available = self.piece.length

    def fail(self, error: KinemaError) -> None:
        """There will be no more."""
        self.error = error

    def settle(self) -> None:
        """Tell those who wait of the end."""
        self._tell()

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()


class _Verifier:
    """Follows the bytes of a slice as they arrive and says how far they are known to be right."""

    def __init__(self, piece: Slice) -> None:
        self._piece = piece
        self._checks = list(reversed(piece.checks))
        self._digest = hashlib.sha256()
        self._position = 0
        self._index_name = b""

    def feed(self, data: bytes) -> int:
        """Take the next bytes; return up to where the slice may be served. Raises ParentFailed at a wrong digest."""
        self._note_index(data)
        begin, end = self._position, self._position + len(data)
        view = memoryview(data)
        while self._checks:
            check = self._checks[-1]
            if end > check.start:
                self._digest.update(view[max(check.start - begin, 0) : check.end - begin])
            if end < check.end:
                break
            if not hmac.compare_digest(self._digest.digest(), check.digest):
                raise ParentFailed("The film's data arrived damaged; try again, or let the operator verify the title.")
            self._checks.pop()
            self._digest = hashlib.sha256()
            begin_of_next = check.end - begin
            view, begin = view[begin_of_next:], check.end
        self._position = end
        return min(end, self._checks[-1].end - 1) if self._checks else end

    def _note_index(self, data: bytes) -> None:
        """Look at the name of the index box: nothing else tells whether what stands before the segments is ours."""
        at = self._piece.index_at
        if at is None or len(self._index_name) == 4:
            return
        start = at + len(self._index_name) - self._position
        if 0 <= start < len(data):
            self._index_name += data[start : start + 4 - len(self._index_name)]
        if len(self._index_name) == 4 and self._index_name != b"sidx":
            raise ParentFailed("The film's index arrived damaged; try again, or let the operator verify the title.")


async def fetch_into(filling: Filling, slot: Slot, parent: Parent, threads: Threads) -> None:
    """Fetch the slice into its slot, verified, and let those who wait follow.

    Raises ParentFailed, or DeadlineExceeded when the parent is silent for PARENT_SECONDS.
    """
    piece = filling.piece
    verifier = _Verifier(piece)
    position = 0

    def take(data: bytes) -> int:
        safe = verifier.feed(data)
        slot.write(data, position)
        return safe

    # An AsyncIterator need not have aclose; those of every parent are generators, which do.
    chunks = cast("AsyncGenerator[bytes]", parent.fetch(piece.digest, piece.start, piece.length))
    async with aclosing(chunks):
        while position < piece.length:
            chunk = await _next(chunks)
            if not chunk or position + len(chunk) > piece.length:
                raise ParentFailed("The film's data has another size than its description; encode the film again.")
            safe = await threads.run(take, chunk)
            position += len(chunk)
            filling.grow(safe)


async def _next(chunks: "AsyncGenerator[bytes]") -> bytes:
    """The next chunk; empty at the end."""
    try:
        async with asyncio.timeout(PARENT_SECONDS):
            return await anext(chunks, b"")
    except TimeoutError as error:
        raise DeadlineExceeded(f"The film's data did not come within {PARENT_SECONDS:.0f} s; try again.") from error
    except DeadlineExceeded:
        raise
    except KinemaError as error:
        raise ParentFailed(f"The film's data cannot be had: {error.detail}") from error
