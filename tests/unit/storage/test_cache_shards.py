"""Keys divided between servers: each has its place, few move when a server joins, and one that fails takes only its own along."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from kinema.core.clock import ManualClock, SystemClock
from kinema.core.errors import BadInput, Unavailable
from kinema.resilience.breaker import BreakerConfig, CircuitBreaker
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.cache_shards import ShardedCache
from kinema.storage.cache_topology import open_caches
from kinema.storage.cache_zones import ZonedCache

KEYS = [f"n:{number}" for number in range(2000)]
CONFIG = BreakerConfig(window_calls=20, minimum_calls=5, sleep_seconds=1.0)


class Server(MemoryCache):
    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.asked = 0
        self.awake = asyncio.Event()
        self.awake.set()

    async def get(self, key: str) -> bytes | None:
        self.asked += 1
        await self.awake.wait()
        if self.down:
            raise Unavailable("down")
        return await super().get(key)

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        self.asked += 1
        if self.down:
            raise Unavailable("down")
        return await super().get_many(keys)


def sharded(*names: str) -> tuple[ShardedCache, dict[str, Server]]:
    servers = {name: Server() for name in names}
    clock = SystemClock()
    return ShardedCache(servers, clock, lambda _: CircuitBreaker(clock, CONFIG)), servers


async def test_keys_are_spread_evenly_and_found_again() -> None:
    cache, servers = sharded("10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211", "10.0.0.4:11211")
    for key in KEYS:
        assert await cache.set(key, key.encode(), 60)
    assert min(server.held for server in servers.values()) > 400
    assert sum(server.held for server in servers.values()) == len(KEYS)
    assert await cache.get_many(KEYS[:100]) == {key: key.encode() for key in KEYS[:100]}
    assert [await cache.get(key) for key in KEYS[:50]] == [key.encode() for key in KEYS[:50]]
    assert await cache.add(KEYS[0], b"", 60) is False
    await cache.delete(KEYS[0])
    assert await cache.get(KEYS[0]) is None
    assert await cache.get_many([]) == {}


def test_a_server_that_joins_takes_its_share_and_no_other_key_moves() -> None:
    before, _ = sharded("a", "b", "c")
    after, _ = sharded("d", "c", "b", "a")
    moved = Counter(after.shard_of(key) for key in KEYS if before.shard_of(key) != after.shard_of(key))
    assert set(moved) == {"d"}
    assert 400 < moved["d"] < 600


async def test_a_server_that_fails_takes_only_its_keys_along() -> None:
    cache, servers = sharded("a", "b", "c")
    for key in KEYS[:300]:
        await cache.set(key, b"1", 60)
    servers["b"].down = True
    lost = {key for key in KEYS[:300] if cache.shard_of(key) == "b"}
    assert set(await cache.get_many(KEYS[:100])) == set(KEYS[:100]) - lost
    for key in KEYS[:300]:
        if key in lost:
            with pytest.raises(Unavailable):
                await cache.get(key)
        else:
            assert await cache.get(key) == b"1"
    assert servers["b"].asked < 15 < len(lost)  # its breaker is open
    for server in servers.values():
        server.down = True
    with pytest.raises(Unavailable):
        await cache.get_many(KEYS[:100])


async def test_a_server_that_hangs_is_known_by_the_calls_that_are_given_up() -> None:
    cache, servers = sharded("a", "b")
    mine = next(key for key in KEYS if cache.shard_of(key) == "a")
    servers["a"].awake.clear()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cache.get(mine), 0.07)
    with pytest.raises(Unavailable, match="failed too often"):
        await cache.get(mine)


async def test_a_caller_without_patience_says_nothing_against_a_server() -> None:
    cache, servers = sharded("a", "b")
    mine = next(key for key in KEYS if cache.shard_of(key) == "a")
    servers["a"].awake.clear()
    for _ in range(20):
        reading = asyncio.create_task(cache.get(mine))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
    servers["a"].awake.set()
    assert await cache.get(mine) is None


# -- the setting ----------------------------------------------------------------------------------------------------------


def opened(url: str, tmp_path: Path, zone: str = "a") -> object:
    clock = ManualClock()
    return open_caches(tmp_path, url, zone, clock, lambda _: CircuitBreaker(clock, CONFIG))


async def test_the_setting_describes_zones_and_servers(tmp_path: Path) -> None:
    assert isinstance(opened("", tmp_path), MemoryCache)
    assert isinstance(opened("memory:?bytes=9000000", tmp_path), MemoryCache)
    one = opened("redis://10.0.0.1", tmp_path, zone="anywhere")
    assert isinstance(one, ZonedCache)
    assert [zone.zone for zone in one.snapshot().zones] == ["anywhere"]
    two = opened("a=memcached://10.0.0.1,memcached://10.0.0.2  b=valkey://:secret@10.0.1.1:7000/2", tmp_path, zone="b")
    assert isinstance(two, ZonedCache)
    assert [zone.zone for zone in two.snapshot().zones] == ["b", "a"]
    assert isinstance(two._zones["a"].cache, ShardedCache)
    assert set(two._zones["a"].cache._shards) == {"10.0.0.1", "10.0.0.2"}
    for cache in (one, two):
        await cache.close()


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.1:11211",
        "redis://10.0.0.1 redis://10.0.0.2",
        "a=redis://10.0.0.1 redis://10.0.0.2",
        "a=redis://10.0.0.1 a=redis://10.0.0.2",
        "b=redis://10.0.0.1",
        "a=redis://10.0.0.1,redis://10.0.0.1",
        "a=redis://10.0.0.1,",
        "a=memory:?bytes=9000000",
        "a=nats://10.0.0.1",
    ],
)
def test_a_setting_that_is_not_understood_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cache_url"):
        opened(url, tmp_path)
