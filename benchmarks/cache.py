"""The cache beside what it stands on: microseconds a call in process, round trips to Redis and memcached, shares of hits.

    python -m benchmarks.cache [--quick]

Every figure is the best of several rounds, as the machine is shared. The last line is JSON.
"""

import argparse
import asyncio
import bisect
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cachebox
import cachetools
import emcache
import msgspec
import redis.asyncio
import uvloop

from kinema.core.clock import SystemClock
from kinema.model.encoding import ByteRange, Manifest, Segment, Track, decode_manifest, encode_manifest, manifest_key
from kinema.resilience import BreakerConfig, CircuitBreaker
from kinema.services.playback.manifests import Manifests
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.cache_loading import LoadingCache, LoadingPolicy
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.cache_zones import ZonedCache
from kinema.storage.content import read_all
from kinema.storage.engines import open_cache
from kinema.storage.ports import Cache
from tests.support.servers import memcached_server, redis_server

Figures = dict[str, float]
ROUNDS = 5
KEYS = [f"n:{number}" for number in range(1000)]
VALUE = b"v" * 1000


def best(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    """Return the least of several measurements."""
    return min(measure() for _ in range(rounds))


# -- in process ----------------------------------------------------------------------------------------------------------


def tables() -> Iterator[tuple[str, Any]]:
    """Return the tables to compare, each with room for all keys."""
    room = 2 * len(KEYS)
    yield "cachebox LRU", cachebox.LRUCache(room)
    yield "cachebox LFU", cachebox.LFUCache(room)
    yield "cachebox TTL", cachebox.TTLCache(room, global_ttl=600.0)
    yield "cachebox VTTL", cachebox.VTTLCache(room)
    yield "cachetools LRU", cachetools.LRUCache(room)
    yield "cachetools LFU", cachetools.LFUCache(room)
    yield "cachetools TTL", cachetools.TTLCache(room, ttl=600.0)


def per_call(table: Any, operation: Callable[[Any], None]) -> float:
    """Return microseconds for one of the calls of an operation, which makes one for each key."""

    def measure() -> float:
        began = time.perf_counter()
        operation(table)
        return (time.perf_counter() - began) / len(KEYS) * 1e6

    return best(measure, 20)


def fill(table: Any) -> None:
    """Set every key."""
    for key in KEYS:
        table[key] = VALUE


def read(table: Any) -> None:
    """Get every key."""
    get = table.get
    for key in KEYS:
        get(key)


async def in_process(figures: Figures) -> None:
    """Compare tables, then the port and the loader above them."""
    print(f"{'in process, us a call':34} {'set':>8} {'get':>8}")
    for name, table in tables():
        figures[f"{name} set"], figures[f"{name} get"] = per_call(table, fill), per_call(table, read)
        print(f"{name:34} {figures[f'{name} set']:8.2f} {figures[f'{name} get']:8.2f}")
    memory = MemoryCache()
    figures["port set"] = await one_by_one(lambda key: memory.set(key, VALUE, 600.0))
    figures["port get"] = await one_by_one(memory.get)
    print(f"{'the port (MemoryCache), awaited':34} {figures['port set']:8.2f} {figures['port get']:8.2f}")

    async def load() -> bytes:
        return VALUE

    loading = LoadingCache(memory, "n", SystemClock(), LoadingPolicy(beta=1.0))
    short = [key.partition(":")[2] for key in KEYS]
    for key in short:
        await loading.get_or_load(key, load, 600.0)
    await asyncio.sleep(0.1)
    figures["get_or_load hit"] = await one_by_one(lambda key: loading.get_or_load(key.partition(":")[2], load, 600.0))
    fresh = itertools.count()
    figures["get_or_load miss"] = await one_by_one(lambda _: loading.get_or_load(f"new-{next(fresh)}", load, 600.0))
    print(f"{'get_or_load, a hit of 1,000 bytes':34} {'':8} {figures['get_or_load hit']:8.2f}")
    print(f"{'get_or_load, a miss':34} {'':8} {figures['get_or_load miss']:8.2f}")

    loads = 0

    async def slow() -> bytes:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)
        return VALUE

    began = time.perf_counter()
    await asyncio.gather(*(loading.get_or_load("herd", slow, 600.0) for _ in range(1000)))
    figures["stampede of 1000, us a reader"] = (time.perf_counter() - began - 0.01) / 1000 * 1e6
    figures["stampede of 1000, loads"] = loads
    print(
        f"1,000 readers of one missing key: {loads} load, {figures['stampede of 1000, us a reader']:.1f} us a reader\n"
    )


async def one_by_one(call: Callable[[str], Awaitable[object]]) -> float:
    """Return microseconds a call, one after the other over all keys."""
    least = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        for key in KEYS:
            await call(key)
        least = min(least, (time.perf_counter() - began) / len(KEYS) * 1e6)
    return least


# -- servers -------------------------------------------------------------------------------------------------------------


async def concurrently(call: Callable[[str], Awaitable[object]], callers: int) -> float:
    """Return microseconds a call with so many callers at once."""

    async def caller(number: int) -> None:
        for key in KEYS[number::callers]:
            await call(key)

    least = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(callers)))
        least = min(least, (time.perf_counter() - began) / len(KEYS) * 1e6)
    return least


async def get_zoned(zoned: ZonedCache, key: str) -> bytes | None:
    """Get a value through zones."""
    return await zoned.get(f"z{key}")


async def servers(figures: Figures) -> None:
    """Compare gets of 1,000 bytes through the port with those of the client libraries, and through zones and loader."""
    with redis_server() as redis_one, memcached_server() as memcached_one, tempfile.TemporaryDirectory() as nowhere:
        raw_redis = redis.asyncio.Redis.from_url(redis_one.url, max_connections=64)
        raw_memcached = await emcache.create_client(
            [emcache.MemcachedHostAddress(memcached_one.host, memcached_one.port)], max_connections=16
        )
        clock = SystemClock()
        config = BreakerConfig(window_calls=20, minimum_calls=10)
        engines: dict[str, Cache] = {
            "redis": open_cache(Path(nowhere), f"redis://{redis_one.address}"),
            "memcached": open_cache(Path(nowhere), f"memcached://{memcached_one.address}"),
        }
        for engine in engines.values():
            await asyncio.gather(*(engine.set(key, VALUE, 600.0) for key in KEYS))
        rows: list[tuple[str, Callable[[str], Awaitable[object]]]] = [
            ("redis-py", raw_redis.get),
            ("port on Redis", engines["redis"].get),
            ("emcache", lambda key: raw_memcached.get(key.encode())),
            ("port on memcached", engines["memcached"].get),
        ]
        zones: list[ZonedCache] = []
        for name, engine in engines.items():
            zoned = ZonedCache({"a": engine}, "a", clock, lambda _: CircuitBreaker(clock, config))
            await asyncio.gather(*(zoned.set(f"z{key}", VALUE, 600.0) for key in KEYS))
            zones.append(zoned)
            rows.append((f"zones on {name}", partial(get_zoned, zoned)))
        print(f"{'get of 1,000 bytes, us a call':34} {'1 caller':>9} {'50':>9}")
        for name, call in rows:
            figures[f"{name}, 1 caller"] = await one_by_one(call)
            figures[f"{name}, 50 callers"] = await concurrently(call, 50)
            print(f"{name:34} {figures[f'{name}, 1 caller']:9.1f} {figures[f'{name}, 50 callers']:9.1f}")
        print()
        for zoned in zones:
            await zoned.close()
        await raw_redis.aclose()
        await raw_memcached.close()


# -- shares of hits ------------------------------------------------------------------------------------------------------


def traces(requests: int) -> Iterator[tuple[str, list[int]]]:
    """Return requests for 20,000 keys by Zipf's law: steady, with favourites that change, with scans."""
    keys = 20_000

    def zipf(exponent: float, seed: int) -> Callable[[], int]:
        source = random.Random(seed)
        sums = list(itertools.accumulate((rank + 1) ** -exponent for rank in range(keys)))
        return lambda: bisect.bisect(sums, source.random() * sums[-1])

    for exponent in (0.8, 1.0, 1.2):
        draw = zipf(exponent, 1)
        yield f"Zipf {exponent}", [draw() for _ in range(requests)]
    for period in (50_000, 10_000):
        draw = zipf(1.0, 2)
        shifted = [(draw() + turn // period * 3000) % keys for turn in range(requests)]
        yield f"Zipf 1.0, other favourites each {period:,}", shifted
    draw = zipf(1.0, 3)
    mixed: list[int] = []
    while len(mixed) < requests:
        mixed += [draw() for _ in range(8000)]
        mixed += range(keys + len(mixed), keys + len(mixed) + 4000)
    yield "Zipf 1.0, a third scans", mixed[:requests]


async def shares(figures: Figures, requests: int) -> None:
    """Compare how many requests find their key with room for a tenth of the keys."""
    room = 2000
    size = (8 << 20) // room - 256  # so that the memory of the port holds as many
    print(f"{'share of hits':42} {'LRU':>6} {'LFU':>6} {'port':>6}")
    for name, trace in traces(requests):
        row = []
        for table in (cachebox.LRUCache[int, bool](room), cachebox.LFUCache[int, bool](room)):
            hits = 0
            for key in trace:
                if table.get(key):
                    hits += 1
                else:
                    table[key] = True
            row.append(hits / len(trace))
        memory, value, hits = MemoryCache(8 << 20), bytes(size), 0
        for key in trace:
            if await memory.get(f"n:{key}") is not None:
                hits += 1
            else:
                await memory.set(f"n:{key}", value, 86_400.0)
        row.append(hits / len(trace))
        for policy, share in zip(("LRU", "LFU", "port"), row, strict=True):
            figures[f"{name}, {policy}"] = share
        print(f"{name:42} {row[0]:6.3f} {row[1]:6.3f} {row[2]:6.3f}")
    print()


# -- a use ---------------------------------------------------------------------------------------------------------------


async def premiere(figures: Figures, viewers: int = 200) -> None:
    """Compare many who start one film at the same moment: its manifest read and decoded by each, and once for all."""
    segments = tuple(Segment(number * 900_000, 900_000, 4000, f"{number:064x}") for number in range(1350))
    track = Track("video-1080p", "video", "0" * 64, 1, "avc1", 1, 1, ByteRange(0, 0), ByteRange(0, 0), 1000, segments)
    film = Manifest("ast_1", 1, "ttl_1", 5400.0, 0.0, (track,) * 4)
    with tempfile.TemporaryDirectory() as directory:
        blobs = FileBlobs(Path(directory))
        key = manifest_key(film.asset, film.version)
        await blobs.put(key, encode_manifest(film))

        async def each() -> Manifest:
            body = await read_all(blobs, key)
            return await asyncio.to_thread(decode_manifest, body)

        began = time.perf_counter()
        await asyncio.gather(*(each() for _ in range(viewers)))
        figures["premiere, each for himself, ms"] = (time.perf_counter() - began) * 1000
        manifests = Manifests(blobs, LoadingCache(MemoryCache(), "manifests", SystemClock()))
        began = time.perf_counter()
        await asyncio.gather(*(manifests.get(film.asset, film.version) for _ in range(viewers)))
        figures["premiere, once for all, ms"] = (time.perf_counter() - began) * 1000
    print(f"{viewers} viewers start one film of 90 minutes at once:")
    print(f"  each reads its manifest   {figures['premiere, each for himself, ms']:8.0f} ms until the last has it")
    print(f"  once for all              {figures['premiere, once for all, ms']:8.0f} ms\n")


async def run(*, quick: bool) -> None:
    """Measure everything and print it."""
    figures: Figures = {}
    await in_process(figures)
    await servers(figures)
    await premiere(figures)
    await shares(figures, 60_000 if quick else 400_000)
    print(msgspec.json.encode({name: round(figure, 3) for name, figure in figures.items()}).decode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests for the shares of hits")
    uvloop.run(run(quick=parser.parse_args().quick))
