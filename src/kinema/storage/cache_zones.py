"""One copy of every value in each zone, as EVCache has it: reads stay in the own zone, writes go to all.

    read      the own zone is asked first. On a miss or a failure the next one is, so many of them and for so long as the
              policy says. What is found elsewhere is put into the own zone behind the reader's back, for the time it has left,
              unless something is there by then: a newer value must not give way to an older one
    write     begins in all zones at once. It is over for the caller when the latch is reached (ONE, QUORUM or ALL of the
              zones have it), cannot be reached any more, or `write_seconds` have passed. The rest goes on in the background
    zone      each has a breaker. A zone that fails is not asked at all for a while, so a dead one costs nothing and a hung
              one costs its first few readers `zone_seconds` each

No call here raises `Unavailable` but for a closed cache: with every zone gone, reads are misses and writes return False.

A zone that does not get a write (it was unreachable, its breaker was open, too much was on its way to it) keeps what it had
until that value's end: this is a cache of values that may be as old as their `ttl`. Every value carries its end, so that it is
the same in every zone and after every back-fill; the machines' clocks must agree to that degree.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any
from zlib import crc32

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, TooLarge, Unavailable
from kinema.core.patience import Patience
from kinema.storage.cache_breaker import Breaker
from kinema.storage.ports import (
    MAX_CACHE_VALUE_BYTES,
    Cache,
    check_cache_entry,
    check_cache_key,
    check_cache_keys,
)

_HEAD = b"kz\x01"
_FRAME = struct.Struct(">3sd")  # the head, and when the value ends in Unix time
MAX_ZONED_VALUE_BYTES = MAX_CACHE_VALUE_BYTES - _FRAME.size


class Latch(Enum):
    """How many zones must have a write before it counts as done."""

    ONE = "one"
    QUORUM = "quorum"
    ALL = "all"

    def of(self, zones: int) -> int:
        """Return the number, of so many zones."""
        return {Latch.ONE: 1, Latch.QUORUM: zones // 2 + 1, Latch.ALL: zones}[self]


class ZonesPolicy(msgspec.Struct, frozen=True):
    """How long and how far a `ZonedCache` goes. Times are in seconds."""

    zone_seconds: float = 0.1
    """How long one zone may take to answer a read."""
    read_seconds: float = 0.25
    """How long all zones together may."""
    write_seconds: float = 0.5
    """How long a writer waits for its latch."""
    fall_back_zones: int = 1
    """How many other zones a read asks; 0: none."""
    fall_back_on_miss: bool = True
    """Whether a miss is a reason to ask them, or only a failure."""
    latch: Latch = Latch.QUORUM
    """How many zones a write waits for, unless it says."""
    most_on_their_way: int = 1000
    """Writes that may be on their way to one zone; beyond, it misses some."""
    most_bytes_on_their_way: int = 32 << 20
    """Bytes of values likewise."""


class ZoneSnapshot(msgspec.Struct, frozen=True):
    """What one zone has answered so far. Counts are of keys."""

    zone: str
    hits: int
    misses: int
    failures: int
    """Reads and writes that it did not answer in time or at all."""
    skipped: int
    """Reads and writes that its breaker kept from it."""
    writes: int
    left_out: int
    """Writes that it missed because too many were on their way."""
    back_fills: int
    on_their_way: int


class ZonesSnapshot(msgspec.Struct, frozen=True):
    """All zones, the own one first."""

    zones: tuple[ZoneSnapshot, ...]
    fall_backs: int
    """Reads that another zone answered with a value."""
    latches_missed: int


class _Zone:
    def __init__(self, name: str, cache: Cache, breaker: Breaker) -> None:
        self.name = name
        self.cache = cache
        self.breaker = breaker
        self.count = dict.fromkeys(ZoneSnapshot.__struct_fields__[1:-1], 0)
        self.writing = 0
        self.writing_bytes = 0


class ZonedCache:
    """The `Cache` port on one cache for each zone. It owns them; `breakers` makes the breaker of a zone from its name."""

    def __init__(
        self,
        zones: Mapping[str, Cache],
        own: str,
        clock: Clock,
        breakers: Callable[[str], Breaker],
        policy: ZonesPolicy | None = None,
    ) -> None:
        if own not in zones:
            raise BadInput(f"There is no cache for the zone {own!r}; there is one for {', '.join(sorted(zones))}.")
        self._clock = clock
        self._policy = policy or ZonesPolicy()
        self._zones = {name: _Zone(name, cache, breakers(name)) for name, cache in sorted(zones.items())}
        self._own = self._zones[own]
        self._others = [zone for zone in self._zones.values() if zone is not self._own]
        self._background: set[asyncio.Task[None]] = set()
        self._filling: set[str] = set()
        self._fall_backs = 0
        self._latches_missed = 0
        self._closed = False

    # -- reads -----------------------------------------------------------------------------------------------------------

    async def get(self, key: str) -> bytes | None:
        """Return the value from the nearest zone that has it; see the port."""
        check_cache_key(key)
        return (await self._find([key])).get(key)

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that have one; see the port."""
        check_cache_keys(keys)
        return await self._find(list(dict.fromkeys(keys)))

    async def _find(self, keys: list[str]) -> dict[str, bytes]:
        self._check_open()
        policy = self._policy
        found: dict[str, bytes] = {}
        missing = keys
        others_asked = 0
        deadline = self._clock.monotonic() + policy.read_seconds
        for zone in (self._own, *self._in_order(keys[0] if keys else "")):
            seconds = min(policy.zone_seconds, deadline - self._clock.monotonic())
            if not missing or seconds <= 0 or (zone is not self._own and others_asked >= policy.fall_back_zones):
                break
            began = self._begin(zone, len(missing))
            if began is None:
                continue
            others_asked += zone is not self._own
            answer = await self._read(zone, missing, seconds, began)
            if answer is None:
                continue
            self._take(zone, answer, found)
            missing = [key for key in missing if key not in found]
            if not policy.fall_back_on_miss:
                break
        return found

    def _in_order(self, key: str) -> list[_Zone]:
        """Return the other zones, begun at one that the key decides, so that all of them are asked about equally often."""
        others = self._others
        first = crc32(key.encode()) % len(others) if others else 0
        return others[first:] + others[:first]

    async def _read(self, zone: _Zone, keys: list[str], seconds: float, began: float) -> dict[str, bytes] | None:
        """Ask one zone; None when it does not answer."""
        try:
            async with Patience(seconds):
                if len(keys) == 1:  # engines answer for one key a little faster
                    value = await zone.cache.get(keys[0])
                    answer = {} if value is None else {keys[0]: value}
                else:
                    answer = await zone.cache.get_many(keys)
        except (Unavailable, TimeoutError):
            self._ended(zone, began, failed=len(keys))
            return None
        except BaseException:
            zone.breaker.release(self._clock.monotonic() - began)
            raise
        self._ended(zone, began)
        now = self._clock.now()
        living = {key: stored for key, stored in answer.items() if _ends(stored) > now}
        zone.count["hits"] += len(living)
        zone.count["misses"] += len(keys) - len(living)
        return living

    def _take(self, zone: _Zone, answer: dict[str, bytes], found: dict[str, bytes]) -> None:
        for key, stored in answer.items():
            found[key] = stored[_FRAME.size :]
            if zone is not self._own:
                self._fall_backs += 1
                self._back_fill(key, stored)

    def _back_fill(self, key: str, stored: bytes) -> None:
        seconds = _ends(stored) - self._clock.now()

        async def add() -> bool:
            try:
                return await self._own.cache.add(key, stored, seconds)
            finally:
                self._filling.discard(key)

        if seconds > 0 and key not in self._filling and self._start(self._own, add, len(stored), None):
            self._filling.add(key)
            self._own.count["back_fills"] += 1

    # -- writes ----------------------------------------------------------------------------------------------------------

    async def set(self, key: str, value: bytes, ttl: float, latch: Latch | None = None) -> bool:
        """Store a value in all zones and return whether the latch was reached; see the port.

        Here a value may have `MAX_ZONED_VALUE_BYTES`.
        """
        stored = self._framed(key, value, ttl)
        return await self._everywhere(
            lambda cache: cache.set(key, stored, ttl), len(stored), latch, list(self._zones.values())
        )

    async def delete(self, key: str, latch: Latch | None = None) -> bool:
        """Remove a value from all zones and return whether the latch was reached; see the port."""
        check_cache_key(key)
        return await self._everywhere(lambda cache: cache.delete(key), 0, latch, list(self._zones.values()))

    async def add(self, key: str, value: bytes, ttl: float, latch: Latch | None = None) -> bool:
        """Store a value if there is none; see the port.

        The first zone by name that answers decides, then the others follow. While zones fail two callers may both store. False
        also when no zone answers or the latch is not reached.
        """
        stored = self._framed(key, value, ttl)
        for zone in self._zones.values():
            added = await self._decide(zone, key, stored, ttl)
            if added is None:
                continue
            others = [other for other in self._zones.values() if other is not zone]
            return added and await self._everywhere(
                lambda cache: cache.set(key, stored, ttl), len(stored), latch, others, have=1
            )
        return False

    def _framed(self, key: str, value: bytes, ttl: float) -> bytes:
        check_cache_entry(key, value, ttl)
        if len(value) > MAX_ZONED_VALUE_BYTES:
            raise TooLarge(f"The value of {key} has {len(value)} bytes; zones take at most {MAX_ZONED_VALUE_BYTES}.")
        return _FRAME.pack(_HEAD, self._clock.now() + ttl) + value

    async def _decide(self, zone: _Zone, key: str, stored: bytes, ttl: float) -> bool | None:
        began = self._begin(zone, 1)
        if began is None:
            return None
        try:
            async with Patience(self._policy.write_seconds):
                added = await zone.cache.add(key, stored, ttl)
        except (Unavailable, TimeoutError):
            self._ended(zone, began, failed=1)
            return None
        except BaseException:
            zone.breaker.release(self._clock.monotonic() - began)
            raise
        self._ended(zone, began)
        return added

    async def _everywhere(
        self,
        write: Callable[[Cache], Coroutine[Any, Any, bool]],
        size: int,
        latch: Latch | None,
        zones: Sequence[_Zone],
        have: int = 0,
    ) -> bool:
        """Begin a write in these zones and wait for the latch."""
        self._check_open()
        waiting = _Waiting((latch or self._policy.latch).of(len(self._zones)) - have, len(zones))
        for zone in zones:
            if not self._start(zone, partial(write, zone.cache), size, waiting):
                waiting.ended(written=False)
        with suppress(TimeoutError):
            async with Patience(self._policy.write_seconds):
                await waiting.reached.wait()
        self._latches_missed += waiting.missing > 0
        return waiting.missing <= 0

    def _start(self, zone: _Zone, write: Callable[[], Awaitable[bool]], size: int, waiting: "_Waiting | None") -> bool:
        """Begin a write to one zone in the background; False when there is no room for it or the zone is not to be asked."""
        policy = self._policy
        if zone.writing >= policy.most_on_their_way or zone.writing_bytes + size > policy.most_bytes_on_their_way:
            zone.count["left_out"] += 1
            return False
        began = self._begin(zone, 1)
        if began is None:
            return False
        zone.writing += 1
        zone.writing_bytes += size
        task = asyncio.create_task(self._write(zone, write, size, waiting, began), name=f"write to {zone.name}")
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return True

    async def _write(
        self, zone: _Zone, write: Callable[[], Awaitable[bool]], size: int, waiting: "_Waiting | None", began: float
    ) -> None:
        written = False
        try:
            written = await write()
        except Unavailable:
            self._ended(zone, began, failed=1)
        except BaseException:
            zone.breaker.release(self._clock.monotonic() - began)
            raise
        else:
            self._ended(zone, began)
            zone.count["writes"] += written
        finally:
            zone.writing -= 1
            zone.writing_bytes -= size
            if waiting is not None:
                waiting.ended(written=written)

    # -- both ------------------------------------------------------------------------------------------------------------

    def _begin(self, zone: _Zone, keys: int) -> float | None:
        """Return the time at which a call to a zone begins; None when its breaker keeps it away."""
        if not zone.breaker.allow():
            zone.count["skipped"] += keys
            return None
        return self._clock.monotonic()

    def _ended(self, zone: _Zone, began: float, failed: int = 0) -> None:
        seconds = self._clock.monotonic() - began
        zone.count["failures"] += failed
        if failed:
            zone.breaker.failure(seconds)
        else:
            zone.breaker.success(seconds)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("This cache has been closed; nothing is asked or kept any more.")

    def snapshot(self) -> ZonesSnapshot:
        """Return what was done so far, the own zone first."""
        zones = tuple(
            ZoneSnapshot(zone.name, **zone.count, on_their_way=zone.writing) for zone in (self._own, *self._others)
        )
        return ZonesSnapshot(zones, self._fall_backs, self._latches_missed)

    async def close(self) -> None:
        """Let the writes that are on their way end, which engines see to in a second or two, and close all zones."""
        self._closed = True
        if self._background:
            await asyncio.wait(self._background)
        for zone in self._zones.values():
            await zone.cache.close()


class _Waiting:
    """A writer that waits for so many of its zones."""

    __slots__ = ("left", "missing", "reached")

    def __init__(self, needed: int, zones: int) -> None:
        self.missing = needed
        self.left = zones
        self.reached = asyncio.Event()
        self._check()

    def ended(self, *, written: bool) -> None:
        """One of the zones has it, or will not have it."""
        self.left -= 1
        self.missing -= written
        self._check()

    def _check(self) -> None:
        if self.missing <= 0 or self.missing > self.left:
            self.reached.set()


def _ends(stored: bytes) -> float:
    """Return when a stored value ends, in Unix time; long ago when it is none of ours."""
    if len(stored) < _FRAME.size or not stored.startswith(_HEAD):
        return 0.0
    ends: float = _FRAME.unpack_from(stored)[1]
    return ends
