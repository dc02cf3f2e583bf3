"""What the `Cache` port promises, on every engine: in process, on a real Redis, on a real memcached, on both as two zones."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from redis.asyncio import Redis

from kinema.core.clock import SystemClock
from kinema.core.errors import BadInput, TooLarge, Unavailable
from kinema.resilience.breaker import CircuitBreaker
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.cache_zones import MAX_ZONED_VALUE_BYTES, Latch, ZonedCache, ZonesPolicy
from kinema.storage.engines import open_cache
from kinema.storage.ports import MAX_CACHE_KEYS, MAX_CACHE_VALUE_BYTES, Cache
from tests.support.servers import CacheServer, memcached_server, redis_server

LONGEST = "n:" + "k" * 248


@pytest.fixture(scope="module")
def redis() -> Iterator[CacheServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def memcached() -> Iterator[CacheServer]:
    with memcached_server() as server:
        yield server


@pytest.fixture(params=["memory", "redis", "valkey", "memcached", "zones"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Cache]:
    """Opens an engine; valkey:// is the same engine and server as redis://, under its other name."""

    def address(name: str) -> str:
        server: CacheServer = request.getfixturevalue("redis" if name == "valkey" else name)
        return f"{name}://{server.address}"

    if request.param == "memory":
        return lambda: open_cache(tmp_path)
    if request.param != "zones":
        return lambda: open_cache(tmp_path, address(request.param))
    clock = SystemClock()
    policy = ZonesPolicy(zone_seconds=5, read_seconds=10, write_seconds=10, latch=Latch.ALL)
    return lambda: ZonedCache(
        {name: open_cache(tmp_path, address(name)) for name in ("redis", "memcached")},
        "redis",
        clock,
        lambda _: CircuitBreaker(clock),
        policy,
    )


@pytest.fixture
async def cache(open_one: Callable[[], Cache]) -> AsyncIterator[Cache]:
    cache = open_one()
    for key in ("n:a", "n:b", "n:c", LONGEST):
        await cache.delete(key)
    yield cache
    await cache.close()


async def until_gone(cache: Cache, key: str) -> None:
    async with asyncio.timeout(20):
        while await cache.get(key) is not None:  # noqa: ASYNC110 -- a server says nothing when a value goes
            await asyncio.sleep(0.02)


async def test_what_was_set_is_got_until_it_is_deleted(cache: Cache) -> None:
    assert await cache.get("n:a") is None
    assert await cache.set("n:a", b"1", 60)
    assert await cache.get("n:a") == b"1"
    assert await cache.set("n:a", b"2", 60)
    assert await cache.get("n:a") == b"2"
    assert await cache.delete("n:a")
    assert await cache.get("n:a") is None
    assert await cache.delete("n:a")


async def test_a_value_goes_when_its_time_is_over(cache: Cache) -> None:
    await cache.set("n:a", b"1", 0.2)
    await cache.set("n:b", b"1", 60)
    await until_gone(cache, "n:a")
    assert await cache.get("n:b") == b"1"


async def test_a_new_value_brings_its_own_time(cache: Cache) -> None:
    await cache.set("n:a", b"1", 0.2)
    await cache.set("n:a", b"2", 60)
    await cache.set("n:b", b"1", 0.2)
    await until_gone(cache, "n:b")
    assert await cache.get("n:a") == b"2"


async def test_add_stores_only_where_nothing_is(cache: Cache) -> None:
    assert await cache.add("n:a", b"1", 60) is True
    assert await cache.add("n:a", b"2", 60) is False
    assert await cache.get("n:a") == b"1"
    await cache.delete("n:a")
    assert await cache.add("n:a", b"3", 0.2) is True
    await until_gone(cache, "n:a")
    async with asyncio.timeout(20):
        while not await cache.add("n:a", b"4", 60):  # noqa: ASYNC110 -- an engine may round the end of the last one up
            await asyncio.sleep(0.02)
    assert await cache.get("n:a") == b"4"


async def test_of_many_who_add_one_stores(cache: Cache) -> None:
    added = await asyncio.gather(*(cache.add("n:a", b"%d" % number, 60) for number in range(50)))
    assert sum(added) == 1
    assert await cache.get("n:a") == b"%d" % added.index(True)


async def test_many_are_got_at_once(cache: Cache) -> None:
    await cache.set("n:a", b"1", 60)
    await cache.set("n:c", b"", 60)
    assert await cache.get_many(["n:a", "n:b", "n:c", "n:a"]) == {"n:a": b"1", "n:c": b""}
    assert await cache.get_many([]) == {}
    keys = [f"n:{number:03}" + "k" * 245 for number in range(MAX_CACHE_KEYS)]
    await asyncio.gather(*(cache.set(key, key.encode(), 60) for key in keys))
    assert await cache.get_many(keys) == {key: key.encode() for key in keys}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\r\n",
        b"END\r\n",
        b"VALUE n:a 0 1\r\n1\r\nEND\r\n",
        bytes(range(256)),
        b"END\r\n" * (MAX_ZONED_VALUE_BYTES // 5),
        b"$-1\r\n" * (MAX_ZONED_VALUE_BYTES // 5),
    ],
    ids=lambda value: f"{value[:12]!r} {len(value)}",
)
async def test_any_bytes_come_back_as_they_were(cache: Cache, value: bytes) -> None:
    await cache.set(LONGEST, value, 60)
    assert await cache.get(LONGEST) == value
    assert await cache.get_many([LONGEST]) == {LONGEST: value}


async def test_many_calls_at_once_do_not_mix_their_answers(cache: Cache) -> None:
    """Values of all sizes, whose borders fall anywhere in what the sockets bring."""
    source = random.Random(7)
    values = {f"n:{number}": bytes([number]) * source.choice((0, 1, 5, 1000, 70_000)) for number in range(60)}
    await asyncio.gather(*(cache.set(key, value, 60) for key, value in values.items()))
    keys = source.choices(list(values), k=300)
    assert await asyncio.gather(*map(cache.get, keys)) == [values[key] for key in keys]


async def test_callers_that_never_rest_do_not_starve_each_other(cache: Cache) -> None:
    """While one call lasts, each of the others may end twice or three times, not hundreds of times."""
    ended = longest = 0

    async def caller() -> None:
        nonlocal ended, longest
        for _ in range(40):
            before = ended
            await cache.get("n:a")
            ended += 1
            longest = max(longest, ended - before)

    await asyncio.gather(*(caller() for _ in range(50)))
    assert longest <= 150


async def test_a_thousand_readers_of_one_missing_key_ask_once_and_load_once(cache: Cache) -> None:
    loads = 0

    async def load() -> bytes:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0)
        return b"1"

    await cache.delete("loading:a")
    loading = LoadingCache(cache, "loading", SystemClock())
    assert await asyncio.gather(*(loading.get_or_load("a", load, 60) for _ in range(1000))) == [b"1"] * 1000
    assert loads == 1
    async with asyncio.timeout(20):
        while loading.snapshot().in_flight:  # noqa: ASYNC110 -- until it is stored
            await asyncio.sleep(0.001)
    other_process = LoadingCache(cache, "loading", SystemClock())
    assert await asyncio.gather(*(other_process.get_or_load("a", load, 60) for _ in range(1000))) == [b"1"] * 1000
    snapshot = other_process.snapshot()
    assert (loads, snapshot.hits + snapshot.shared) == (1, 1000)
    await other_process.close()


async def test_cancelled_calls_leave_the_engine_usable_and_the_answers_in_step(cache: Cache) -> None:
    """Each call is given up at a random step of its own; calls beside and after it get their own answers."""
    for key in ("n:a", "n:b"):
        await cache.set(key, key.encode(), 60)
    source = random.Random(11)
    for _ in range(30):
        given_up = [asyncio.create_task(cache.get("n:a")) for _ in range(4)]
        kept = [asyncio.create_task(cache.get("n:b")) for _ in range(4)]
        for _ in range(source.randrange(6)):
            await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        ended = await asyncio.gather(*given_up, return_exceptions=True)
        assert {b"n:a" if isinstance(one, asyncio.CancelledError) else one for one in ended} == {b"n:a"}
        assert await asyncio.gather(*kept) == [b"n:b"] * 4
    assert await cache.get("n:a") == b"n:a"


@pytest.mark.parametrize(
    "key",
    ["", "a", ":a", "n:", "N:a", "n:a b", "n:a\r\n", "n:\N{SNOWMAN}", "n:\x00", LONGEST + "k", "-n:a", "n a:b"],
)
async def test_a_malformed_key_is_refused(cache: Cache, key: str) -> None:
    for call in (
        cache.get(key),
        cache.get_many([key]),
        cache.set(key, b"", 1),
        cache.add(key, b"", 1),
        cache.delete(key),
    ):
        with pytest.raises(BadInput):
            await call


async def test_sizes_counts_and_times_have_limits(cache: Cache) -> None:
    await cache.set("n:a", b"old", 60)
    for call in (cache.set, cache.add):
        with pytest.raises(TooLarge, match="1000000"):
            await call("n:a", bytes(MAX_CACHE_VALUE_BYTES + 1), 60)
        for ttl in (0, -1, 31 * 86400, float("nan"), float("inf")):
            with pytest.raises(BadInput):
                await call("n:a", b"new", ttl)
    with pytest.raises(BadInput, match="at most"):
        await cache.get_many(["n:a"] * (MAX_CACHE_KEYS + 1))
    assert await cache.get("n:a") == b"old"
    largest = MAX_ZONED_VALUE_BYTES if isinstance(cache, ZonedCache) else MAX_CACHE_VALUE_BYTES
    assert await cache.set("n:a", bytes(largest), 30 * 86400)
    assert await cache.get("n:a") == bytes(largest)


async def test_what_is_no_value_in_redis_is_a_miss(redis: CacheServer, tmp_path: Path) -> None:
    cache = open_cache(tmp_path, f"redis://{redis.address}")
    other = Redis.from_url(redis.url)
    await other.delete("n:list")
    await other.rpush("n:list", "1")
    assert await cache.get("n:list") is None
    assert await cache.get_many(["n:list"]) == {}
    assert await cache.set("n:list", b"1", 60)
    assert await cache.get("n:list") == b"1"
    await other.aclose()
    await cache.close()


async def test_a_full_redis_that_drops_nothing_is_unavailable_for_writes_only(tmp_path: Path) -> None:
    with redis_server("--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as server:
        cache = open_cache(tmp_path, f"redis://{server.address}")
        with pytest.raises(Unavailable, match="maxmemory"):
            for number in range(100):
                await cache.set(f"n:{number}", bytes(100_000), 60)
        assert await cache.get("n:0") == bytes(100_000)
        await cache.close()


async def test_a_redis_that_asks_for_a_password_gets_the_one_of_the_address(tmp_path: Path) -> None:
    with redis_server() as server:
        admin = Redis.from_url(server.url)
        await admin.config_set("requirepass", "s3cret/=")
        right, wrong = (open_cache(tmp_path, f"redis://:{word}@{server.address}/1") for word in ("s3cret%2F%3D", "no"))
        assert await right.set("n:a", b"1", 60)
        with pytest.raises(Unavailable) as refused:
            await wrong.get("n:a")
        assert "s3cret" not in str(refused.value)
        for one in (right, wrong):
            await one.close()
        await admin.aclose()


@pytest.mark.parametrize("scheme", ["redis", "memcached"])
def test_it_works_on_the_loop_of_gateway_and_edge_too(
    scheme: str, redis: CacheServer, memcached: CacheServer, tmp_path: Path
) -> None:
    """uvloop's transports and time-outs are its own."""
    server = {"redis": redis, "memcached": memcached}[scheme]

    async def use() -> list[bool]:
        cache = open_cache(tmp_path, f"{scheme}://{server.address}")
        value = bytes(range(256)) * 3000
        await cache.set("n:loop", value, 60)
        found = [await cache.get("n:loop") == value, await cache.get_many(["n:loop"]) == {"n:loop": value}]
        server.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cache.get("n:loop"), 0.05)
        server.resume()
        found += [await cache.get("n:loop") == value, await cache.delete("n:loop")]
        await cache.close()
        return found

    assert uvloop.run(use()) == [True] * 4


async def test_after_closing_it_says_so(open_one: Callable[[], Cache]) -> None:
    cache = open_one()
    await cache.set("n:a", b"1", 60)
    await cache.close()
    for call in (cache.get("n:a"), cache.get_many(["n:a"]), cache.set("n:a", b"", 1), cache.delete("n:a")):
        with pytest.raises(Unavailable, match="closed"):
            await call
