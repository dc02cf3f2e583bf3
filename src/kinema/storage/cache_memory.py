"""A cache in this process: the engine of a region on one machine, and what every process may keep for itself.

Segmented LRU (Karedla, Love and Wherry, 1994), on two of cachebox's LRU caches:

    a new value                     enters probation, a fifth of the room
    a value read in probation       moves to the protected part, the other four fifths
    no room in the protected part   its least recently used value goes back to probation, as the newest there
    no room in probation            its least recently used value is dropped

So what is read once, a scan above all, passes through without driving out what is read again and again. It keeps nearly as
many hits as LFU while popularity stands still and as LRU while it moves, where LFU, which never forgets, loses half of them;
`docs/parts/cache.md` has the figures.

Values that have expired are dropped when they are asked for, and, so that they do not take room from living ones, a few
at each write in the order in which they expire.
"""

import heapq
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cachebox import LRUCache

from kinema.core.clock import Clock, SystemClock
from kinema.core.errors import BadInput, Unavailable
from kinema.storage.ports import check_cache_entry, check_cache_key, check_cache_keys

DEFAULT_BYTES = 64 << 20
_LEAST_BYTES = 8 << 20  # the largest value must fit into probation
_PROBATION = 0.2  # of the room
_OVERHEAD = (
    250  # bytes that an entry takes besides key and value: object headers, table slots, its line in the order of expiry
)
_EXPIRED_AT_ONCE = 4  # dropped by one write: more than one write adds, so the backlog shrinks

_Entry = tuple[float, bytes]  # when it expires on the steady clock, and the value


class MemoryCache:
    """The `Cache` port on at most `capacity` bytes of memory, keys and overhead included."""

    def __init__(self, capacity: int = DEFAULT_BYTES, clock: Clock | None = None) -> None:
        if capacity < _LEAST_BYTES:
            raise BadInput(
                f"A cache of {capacity} bytes is too small for its largest value; use {_LEAST_BYTES} or more."
            )
        self._clock = clock or SystemClock()
        probation = int(capacity * _PROBATION)
        self._probation: LRUCache[str, _Entry] = LRUCache(probation, getsizeof=_weight)
        self._protected: LRUCache[str, _Entry] = LRUCache(capacity - probation, getsizeof=_weight)
        self._expiry: list[tuple[float, str]] = []
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        """Return the value; see the port."""
        check_cache_key(key)
        return self._get(key, self._now())

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that have one; see the port."""
        check_cache_keys(keys)
        now = self._now()
        return {key: value for key in keys if (value := self._get(key, now)) is not None}

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value; see the port."""
        check_cache_entry(key, value, ttl)
        self._set(key, value, ttl, self._now())
        return True

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value if there is none; see the port."""
        check_cache_entry(key, value, ttl)
        now = self._now()
        if self._get(key, now) is not None:
            return False
        self._set(key, value, ttl, now)
        return True

    async def delete(self, key: str) -> bool:
        """Remove a value; see the port."""
        check_cache_key(key)
        self._now()
        self._drop(key)
        return True

    async def close(self) -> None:
        """Forget everything; see the port."""
        self._closed = True
        self._probation.clear()
        self._protected.clear()
        self._expiry.clear()

    @property
    def held(self) -> int:
        """How many values are held, expired ones that were not dropped yet included."""
        return len(self._probation) + len(self._protected)

    @property
    def size(self) -> int:
        """Bytes that are taken."""
        return self._probation.current_size() + self._protected.current_size()

    def _now(self) -> float:
        if self._closed:
            raise Unavailable("This cache has been closed; nothing is kept any more.")
        return self._clock.monotonic()

    def _get(self, key: str, now: float) -> bytes | None:
        entry = self._protected.get(key)
        if entry is None:
            entry = self._probation.get(key)
            if entry is None:
                return None
            if entry[0] > now:
                self._promote(key, entry)
        if entry[0] <= now:
            self._drop(key)
            return None
        return entry[1]

    def _promote(self, key: str, entry: _Entry) -> None:
        self._probation.pop(key)
        protected, weight = self._protected, _weight(key, entry)
        while protected.remaining_size() < weight:
            demoted_key, demoted = protected.popitem()
            self._probation.insert(demoted_key, demoted)
        protected.insert(key, entry)

    def _set(self, key: str, value: bytes, ttl: float, now: float) -> None:
        self._expire(now)
        # A copy of its own: whoever hands in a bytearray or a view may go on changing it.
        entry = (now + ttl, bytes(value))
        if key in self._protected:
            # Taken out before: as its own successor it might be what is dropped to make room for it.
            del self._protected[key]
            self._promote_new(key, entry)
        else:
            self._probation.insert(key, entry)
        heapq.heappush(self._expiry, (entry[0], key))
        if len(self._expiry) > 2 * self.held + 1000:  # most lines are of values that were replaced or dropped
            both = (self._probation, self._protected)
            self._expiry = [(held[0], name) for part in both for name, held in part.items()]
            heapq.heapify(self._expiry)

    def _promote_new(self, key: str, entry: _Entry) -> None:
        self._probation.insert(key, entry)
        self._promote(key, entry)

    def _expire(self, now: float) -> None:
        """Drop a few of the values that have expired."""
        expiry = self._expiry
        for _ in range(_EXPIRED_AT_ONCE):
            if not expiry or expiry[0][0] > now:
                return
            _, key = heapq.heappop(expiry)
            for part in (self._probation, self._protected):
                if key in part and part.peek(key)[0] <= now:  # not one that was stored under the key since
                    del part[key]

    def _drop(self, key: str) -> None:
        self._probation.pop(key, None)
        self._protected.pop(key, None)


def open_memory(data_dir: Path, url: str) -> MemoryCache:  # noqa: ARG001 -- the signature of all rows
    """Row of `engines.CACHES`: nothing, or `memory:?bytes=N`."""
    options = parse_qs(urlsplit(url).query)
    text = options.pop("bytes", [str(DEFAULT_BYTES)])[-1]
    if options or not text.isdecimal():
        raise BadInput(f"cache_url has {url[:80]!r}; write memory:?bytes=N, or leave it empty.")
    return MemoryCache(int(text))


def _weight(key: str, entry: _Entry) -> int:
    return len(key) + len(entry[1]) + _OVERHEAD
