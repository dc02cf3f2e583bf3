"""What caches have done is told in numbers that add up."""

from kinema.core.clock import SystemClock
from kinema.core.metrics import Sample
from kinema.resilience.breaker import CircuitBreaker
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.cache_metrics import loading_samples, zone_samples
from kinema.storage.cache_zones import Latch, ZonedCache


def values(samples: list[Sample]) -> dict[tuple[str, ...], float]:
    return {(one.name, *one.labels): one.value for one in samples}


async def test_reads_and_loads_are_told_by_namespace() -> None:
    cache = LoadingCache(MemoryCache(), "titles", SystemClock())

    async def load() -> bytes:
        return b"1"

    async def fail() -> bytes:
        raise ValueError

    for key, loader in (("a", load), ("a", load), ("b", fail)):
        try:
            await cache.get_or_load(key, loader, 60)
        except ValueError:
            continue
    await cache.close()
    found = values(list(loading_samples(cache.snapshot())))
    assert found["kinema_cache_loads_total", "titles", "loaded"] == 1
    assert found["kinema_cache_loads_total", "titles", "failed"] == 1
    assert found["kinema_cache_reads_total", "titles", "miss"] == 2
    assert sum(value for (name, *_), value in found.items() if name == "kinema_cache_reads_total") == 3


async def test_calls_are_told_by_zone() -> None:
    clock = SystemClock()
    zones = ZonedCache({"a": MemoryCache(), "b": MemoryCache()}, "b", clock, lambda _: CircuitBreaker(clock))
    await zones.set("n:a", b"1", 60, Latch.ALL)
    await zones.get("n:a")
    await zones.get("n:b")
    found = values(list(zone_samples(zones.snapshot())))
    assert [found["kinema_cache_zone_calls_total", "b", one] for one in ("hit", "miss", "write")] == [1, 1, 1]
    assert [found["kinema_cache_zone_calls_total", "a", one] for one in ("hit", "miss", "write")] == [0, 1, 1]
