"""One copy a zone: where reads go, how far writes wait, and what a zone that fails costs. Real servers are in tests/contract."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from kinema.core.clock import ManualClock, SystemClock
from kinema.core.errors import BadInput, TooLarge, Unavailable
from kinema.resilience.breaker import BreakerConfig, CircuitBreaker
from kinema.storage.cache_memcached import MemcachedCache
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.cache_zones import MAX_ZONED_VALUE_BYTES, Latch, ZonedCache, ZonesPolicy
from tests.support.servers import memcached_server


class Zone(MemoryCache):
    """A cache of one zone, which can be lost (`down`) or hang (`awake` not set)."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock=clock)
        self.down = False
        self.awake = asyncio.Event()
        self.awake.set()
        self.asked = 0
        self.written = 0

    async def _meet(self) -> None:
        await self.awake.wait()
        if self.down:
            raise Unavailable("This zone is down.")

    async def get(self, key: str) -> bytes | None:
        self.asked += 1
        await self._meet()
        return await super().get(key)

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        self.asked += 1
        await self._meet()
        return await super().get_many(keys)

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        self.written += 1
        await self._meet()
        return await super().set(key, value, ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        self.written += 1
        await self._meet()
        return await super().add(key, value, ttl)

    async def delete(self, key: str) -> bool:
        await self._meet()
        return await super().delete(key)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def zones(clock: ManualClock) -> dict[str, Zone]:
    return {name: Zone(clock) for name in ("a", "b", "c")}


QUICK = ZonesPolicy(zone_seconds=0.05, read_seconds=0.2, write_seconds=0.1)


def zoned(zones: dict[str, Zone], clock: ManualClock, own: str = "b", policy: ZonesPolicy = QUICK) -> ZonedCache:
    config = BreakerConfig(minimum_calls=5, sleep_seconds=1.0)
    return ZonedCache(zones, own, clock, lambda _: CircuitBreaker(clock, config), policy)


@pytest.fixture
async def cache(zones: dict[str, Zone], clock: ManualClock) -> AsyncIterator[ZonedCache]:
    cache = zoned(zones, clock)
    yield cache
    for zone in zones.values():
        zone.awake.set()
    await cache.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_write_goes_to_all_zones_and_a_read_to_the_own_one(cache: ZonedCache, zones: dict[str, Zone]) -> None:
    assert await cache.set("n:a", b"1", 60, Latch.ALL)
    assert [zone.held for zone in zones.values()] == [1, 1, 1]
    assert await cache.get("n:a") == b"1"
    assert [zone.asked for zone in zones.values()] == [0, 1, 0]
    assert await cache.delete("n:a", Latch.ALL)
    assert [zone.held for zone in zones.values()] == [0, 0, 0]


async def test_a_miss_is_answered_by_another_zone_and_then_by_the_own_one(
    cache: ZonedCache, zones: dict[str, Zone]
) -> None:
    await cache.set("n:a", b"1", 60, Latch.ALL)
    await MemoryCache.delete(zones["b"], "n:a")
    assert await cache.get("n:a") == b"1"
    await settle()
    asked = zones["a"].asked + zones["c"].asked
    assert await cache.get("n:a") == b"1"
    assert zones["a"].asked + zones["c"].asked == asked == 1
    snapshot = cache.snapshot()
    assert (snapshot.zones[0].zone, snapshot.zones[0].back_fills, snapshot.fall_backs) == ("b", 1, 1)
    assert (snapshot.zones[0].hits, snapshot.zones[0].misses) == (1, 1)


async def test_a_value_that_was_filled_back_ends_when_it_would_have(
    cache: ZonedCache, zones: dict[str, Zone], clock: ManualClock
) -> None:
    await cache.set("n:a", b"1", 60, Latch.ALL)
    clock.advance(50)
    await MemoryCache.delete(zones["b"], "n:a")
    assert await cache.get("n:a") == b"1"
    await settle()
    assert zones["b"].held == 1
    clock.advance(10)
    assert await cache.get("n:a") is None


async def test_a_back_fill_does_not_replace_what_was_written_meanwhile(
    cache: ZonedCache, zones: dict[str, Zone]
) -> None:
    await cache.set("n:a", b"old", 60, Latch.ALL)
    await MemoryCache.delete(zones["b"], "n:a")
    for zone in (zones["a"], zones["c"]):
        zone.awake.clear()
    reading = asyncio.create_task(cache.get("n:a"))
    await settle()
    await zones["b"].set("n:a", await MemoryCache.get(zones["a"], "n:a") + b"er", 60)  # another writer's newer value
    for zone in (zones["a"], zones["c"]):
        zone.awake.set()
    assert await reading == b"old"
    await settle()
    assert await cache.get("n:a") == b"older"


async def test_other_zones_are_asked_as_many_as_the_policy_says(zones: dict[str, Zone], clock: ManualClock) -> None:
    for most in (0, 1, 2, 5):
        cache = zoned(zones, clock, policy=ZonesPolicy(fall_back_zones=most))
        before = [zone.asked for zone in zones.values()]
        assert await cache.get("n:a") is None
        assert sum(zone.asked for zone in zones.values()) - sum(before) == 1 + min(most, 2)


async def test_a_miss_may_be_an_answer_and_only_a_failure_a_reason_to_go_on(
    zones: dict[str, Zone], clock: ManualClock
) -> None:
    cache = zoned(zones, clock, policy=ZonesPolicy(fall_back_on_miss=False))
    await cache.set("n:a", b"1", 60, Latch.ALL)
    await MemoryCache.delete(zones["b"], "n:a")
    assert await cache.get("n:a") is None
    zones["b"].down = True
    assert await cache.get("n:a") == b"1"


async def test_many_keys_are_gathered_from_where_they_are(cache: ZonedCache, zones: dict[str, Zone]) -> None:
    keys = [f"n:{number}" for number in range(10)]
    for key in keys[:8]:
        await cache.set(key, key.encode(), 60, Latch.ALL)
    for key in keys[:4]:
        await MemoryCache.delete(zones["b"], key)
    assert await cache.get_many(keys) == {key: key.encode() for key in keys[:8]}
    await settle()
    assert zones["b"].held == 8
    assert await cache.get_many([]) == {}


@pytest.mark.parametrize(("latch", "needed"), [(Latch.ONE, 1), (Latch.QUORUM, 2), (Latch.ALL, 3)])
async def test_a_write_says_whether_its_latch_was_reached(
    zones: dict[str, Zone], clock: ManualClock, latch: Latch, needed: int
) -> None:
    for down in itertools.chain.from_iterable(itertools.combinations("abc", size) for size in range(4)):
        cache = zoned(zones, clock)
        for name, zone in zones.items():
            zone.down = name in down
        assert await cache.set("n:a", b"1", 60, latch) is (3 - len(down) >= needed)
        assert await cache.delete("n:a", latch) is (3 - len(down) >= needed)


async def test_a_writer_does_not_wait_for_a_latch_that_cannot_be_reached(
    zones: dict[str, Zone], clock: ManualClock
) -> None:
    cache = zoned(zones, clock, policy=ZonesPolicy(write_seconds=3600))
    zones["a"].down = zones["c"].down = True
    async with asyncio.timeout(20):
        assert not await cache.set("n:a", b"1", 60, Latch.QUORUM)
        assert not await cache.delete("n:a", Latch.ALL)


@pytest.mark.parametrize(("latch", "at_once"), [(Latch.ONE, True), (Latch.QUORUM, True), (Latch.ALL, False)])
async def test_a_writer_waits_no_longer_than_its_latch_and_the_rest_goes_on(
    cache: ZonedCache, zones: dict[str, Zone], latch: Latch, at_once: bool
) -> None:
    zones["a"].awake.clear()
    assert await cache.set("n:a", b"1", 60, latch) is at_once
    assert zones["a"].held == 0
    zones["a"].awake.set()
    await settle()
    assert zones["a"].held == 1


async def test_a_cancelled_writer_does_not_take_its_writes_back(cache: ZonedCache, zones: dict[str, Zone]) -> None:
    for zone in zones.values():
        zone.awake.clear()
    writing = asyncio.create_task(cache.set("n:a", b"1", 60))
    await settle()
    writing.cancel()
    for zone in zones.values():
        zone.awake.set()
    await settle()
    assert [zone.held for zone in zones.values()] == [1, 1, 1]
    assert writing.cancelled()


async def test_with_all_zones_gone_reads_are_misses_and_writes_are_not_done(
    cache: ZonedCache, zones: dict[str, Zone]
) -> None:
    for zone in zones.values():
        zone.down = True
    for _ in range(20):
        assert await cache.get("n:a") is None
        assert await cache.get_many(["n:a", "n:b"]) == {}
        assert not await cache.set("n:a", b"1", 60, Latch.ONE)
        assert not await cache.add("n:a", b"1", 60)
        assert not await cache.delete("n:a")


async def test_a_dead_zone_is_not_asked_and_used_again_when_it_is_back(
    cache: ZonedCache, zones: dict[str, Zone], clock: ManualClock
) -> None:
    await cache.set("n:a", b"1", 600, Latch.ALL)
    zones["b"].down = True
    for _ in range(50):
        assert await cache.get("n:a") == b"1"
        await settle()
    assert zones["b"].asked + zones["b"].written < 12
    asked = zones["b"].asked
    for _ in range(50):
        assert await cache.get("n:a") == b"1"
        assert await cache.set("n:b", b"1", 60)
    assert zones["b"].asked == asked
    assert cache.snapshot().zones[0].skipped >= 100
    zones["b"].down = False
    clock.advance(1.1)
    for _ in range(3):
        assert await cache.get("n:a") == b"1"
        await settle()
    assert zones["b"].asked == asked + 3


async def test_a_hung_zone_costs_a_few_readers_a_little(cache: ZonedCache, zones: dict[str, Zone]) -> None:
    await cache.set("n:a", b"1", 60, Latch.ALL)
    zones["b"].awake.clear()
    assert await asyncio.gather(*(cache.get("n:a") for _ in range(100))) == [b"1"] * 100
    asked = zones["b"].asked
    assert await asyncio.gather(*(cache.get("n:a") for _ in range(100))) == [b"1"] * 100
    assert zones["b"].asked == asked


async def test_a_reader_that_gives_up_says_nothing_against_the_zone(cache: ZonedCache, zones: dict[str, Zone]) -> None:
    zones["b"].awake.clear()
    for _ in range(20):
        reading = asyncio.create_task(cache.get("n:a"))
        await settle()
        reading.cancel()
        await asyncio.wait([reading])
    zones["b"].awake.set()
    asked = zones["b"].asked
    await cache.get("n:a")
    assert zones["b"].asked == asked + 1
    assert cache.snapshot().zones[0].failures == 0


async def test_writes_on_their_way_to_one_zone_are_bounded_in_count_and_bytes(
    zones: dict[str, Zone], clock: ManualClock
) -> None:
    for policy, most in (
        (ZonesPolicy(most_on_their_way=10), 10),
        (ZonesPolicy(most_bytes_on_their_way=5_000), 4),
    ):
        cache = zoned(zones, clock, policy=policy)
        zones["a"].awake.clear()
        for number in range(50):
            assert await cache.set(f"n:{number}", bytes(1000), 60)
        left = {zone.zone: zone for zone in cache.snapshot().zones}
        assert (left["a"].on_their_way, left["a"].left_out, left["b"].left_out) == (most, 50 - most, 0)
        zones["a"].awake.set()
        await settle()
        assert {zone.on_their_way for zone in cache.snapshot().zones} == {0}
        assert await cache.set("n:a", bytes(1000), 60, Latch.ALL)


async def test_of_many_who_add_one_stores_and_all_zones_have_its_value(
    cache: ZonedCache, zones: dict[str, Zone], clock: ManualClock
) -> None:
    elsewhere = zoned(zones, clock, own="c")
    added = await asyncio.gather(
        *(one.add("n:a", b"%d" % number, 60) for number in range(20) for one in (cache, elsewhere))
    )
    assert sum(added) == 1
    await settle()
    assert {await MemoryCache.get(zone, "n:a") for zone in zones.values()} == {await MemoryCache.get(zones["a"], "n:a")}


@pytest.mark.parametrize("stored", [b"", b"kz", b"kz\x01\x00", b"somebody else's value"])
async def test_what_is_not_ours_is_a_miss(cache: ZonedCache, zones: dict[str, Zone], stored: bytes) -> None:
    for zone in zones.values():
        await zone.set("n:a", stored, 60)
    assert await cache.get("n:a") is None
    assert await cache.get_many(["n:a"]) == {}


async def test_limits_and_names_are_checked(cache: ZonedCache, zones: dict[str, Zone], clock: ManualClock) -> None:
    assert await cache.set("n:a", bytes(MAX_ZONED_VALUE_BYTES), 60, Latch.ALL)
    with pytest.raises(TooLarge):
        await cache.set("n:a", bytes(MAX_ZONED_VALUE_BYTES + 1), 60)
    with pytest.raises(BadInput, match=r"'z'.*a, b, c"):
        zoned(zones, clock, own="z")


async def test_one_zone_is_enough(clock: ManualClock) -> None:
    cache = zoned({"a": Zone(clock)}, clock, own="a")
    assert await cache.set("n:a", b"1", 60)
    assert await cache.get("n:a") == b"1"
    assert await cache.get("n:b") is None
    assert await cache.add("n:b", b"1", 60)


async def test_a_pause_of_this_process_is_blamed_on_no_zone(clock: ManualClock) -> None:
    """Two hundred readers are on their way to a memcached when the loop stands still for three times their patience."""
    with memcached_server() as server:
        one = MemcachedCache(server.host, server.port)
        cache = ZonedCache({"a": one}, "a", clock, lambda _: CircuitBreaker(clock), QUICK)
        assert await cache.set("n:a", b"1", 60)
        readers = [asyncio.create_task(cache.get("n:a")) for _ in range(200)]
        await asyncio.sleep(0)
        time.sleep(0.15)  # noqa: ASYNC251 -- it is the pause
        assert await asyncio.gather(*readers) == [b"1"] * 200
        assert cache.snapshot().zones[0].failures == 0
        await cache.close()
