"""Zones on real servers, one of which is killed, hung and brought back under load: no caller ever hears of it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from kinema.core.clock import SystemClock
from kinema.resilience.breaker import BreakerConfig, CircuitBreaker
from kinema.storage.cache_loading import LoadingCache, LoadingPolicy
from kinema.storage.cache_zones import Latch, ZonedCache, ZoneSnapshot, ZonesPolicy
from kinema.storage.engines import open_cache
from tests.support.servers import CacheServer, memcached_server, redis_server

KEYS = [f"{number}" for number in range(50)]
WORKERS = 8


@pytest.fixture(params=["redis", "memcached"])
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def servers(scheme: str) -> Iterator[dict[str, CacheServer]]:
    start = {"redis": redis_server, "memcached": memcached_server}[scheme]
    with ExitStack() as stack:
        yield {zone: stack.enter_context(start()) for zone in ("a", "b", "c")}


@pytest.fixture
async def zoned(scheme: str, servers: dict[str, CacheServer], tmp_path: Path) -> AsyncIterator[ZonedCache]:
    clock = SystemClock()
    config = BreakerConfig(window_calls=20, minimum_calls=10, sleep_seconds=0.3)
    policy = ZonesPolicy(zone_seconds=0.5, read_seconds=2.0, latch=Latch.QUORUM)
    caches = {zone: open_cache(tmp_path, f"{scheme}://{server.address}") for zone, server in servers.items()}
    cache = ZonedCache(caches, "a", clock, lambda _: CircuitBreaker(clock, config), policy)
    yield cache
    await cache.close()


class Load:
    """Readers, through a loader, and writers, for as long as the block runs; whatever is raised or wrong is kept."""

    def __init__(self, zoned: ZonedCache) -> None:
        self.zoned = zoned
        self.loading = LoadingCache(zoned, "n", SystemClock(), LoadingPolicy())
        self.reads = 0
        self.writes = 0
        self.wrong: list[object] = []
        self.longest = 0.0
        self._ended = False

    async def _read(self, key: str) -> None:
        async def load() -> bytes:
            return key.encode()

        began = time.monotonic()
        value = await self.loading.get_or_load(key, load, 600)
        self.longest = max(self.longest, time.monotonic() - began)
        self.reads += 1
        if value != key.encode():
            self.wrong.append((key, value))

    async def _work(self, number: int) -> None:
        turn = number
        while not self._ended:
            key = KEYS[turn % len(KEYS)]
            turn += 1
            try:
                await self._read(key)
                await self.zoned.set(f"w:{key}", os.urandom(100), 600)
                found = await self.zoned.get_many([f"w:{one}" for one in KEYS[:5]])
                self.wrong += [value for value in found.values() if len(value) != 100]
                self.writes += 1
            except Exception as error:  # noqa: BLE001 -- that there is none is what is tested
                self.wrong.append(error)
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(WORKERS)]
        await self.more()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        await asyncio.gather(*self._tasks)
        await self.loading.close()

    async def more(self) -> None:
        """Wait until the load has gone on for a while."""
        until = self.writes + 300
        await self.until(lambda: self.writes >= until)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not condition():  # noqa: ASYNC110 -- it is counted by others
                await asyncio.sleep(0.01)


def zone(cache: ZonedCache, name: str) -> ZoneSnapshot:
    return next(zone for zone in cache.snapshot().zones if zone.zone == name)


@pytest.mark.parametrize("lost", ["a", "b"], ids=["the own zone", "another zone"])
async def test_a_zone_that_is_killed_and_restarted_under_load_costs_no_error(
    zoned: ZonedCache, servers: dict[str, CacheServer], lost: str
) -> None:
    async with Load(zoned) as load:
        for _ in range(2):
            before = zone(zoned, lost).failures
            servers[lost].kill()
            await load.until(more_than(before, lambda: zone(zoned, lost).failures))
            await load.more()
            fall_backs = zoned.snapshot().fall_backs
            loads = load.loading.snapshot().loads
            await load.more()
            if lost == "a":
                assert zoned.snapshot().fall_backs > fall_backs
            assert load.loading.snapshot().loads == loads  # the other zones have what was loaded
            servers[lost].start()
            await load.until(more_than(zone(zoned, lost).writes, lambda: zone(zoned, lost).writes))
            await load.until(more_than(zone(zoned, "a").hits, lambda: zone(zoned, "a").hits))
            await load.more()
    assert load.wrong == []


async def test_a_zone_that_hangs_under_load_costs_no_error_and_little_time(
    zoned: ZonedCache, servers: dict[str, CacheServer]
) -> None:
    async with Load(zoned) as load:
        servers["a"].pause()
        await load.until(more_than(zone(zoned, "a").failures, lambda: zone(zoned, "a").failures))
        await load.more()
        skipped = zone(zoned, "a").skipped
        servers["a"].resume()
        await load.until(more_than(zone(zoned, "a").hits + 100, lambda: zone(zoned, "a").hits))
    assert load.wrong == []
    assert zone(zoned, "a").failures < skipped / 4  # nearly nobody even tried


async def test_all_zones_gone_at_once_cost_no_error(zoned: ZonedCache, servers: dict[str, CacheServer]) -> None:
    async with Load(zoned) as load:
        for server in servers.values():
            server.kill()
        await load.more()
        for server in servers.values():
            server.start()
        await load.until(more_than(zone(zoned, "a").hits + 100, lambda: zone(zoned, "a").hits))
    assert load.wrong == []


def more_than(before: int, now: Callable[[], int]) -> Callable[[], bool]:
    return lambda: now() > before
