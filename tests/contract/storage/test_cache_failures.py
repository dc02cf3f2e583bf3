"""A cache server that dies, comes back or hangs: callers hear `Unavailable` soon, and all works again without help."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinema.core.errors import Unavailable
from kinema.storage.engines import open_cache
from kinema.storage.ports import Cache
from tests.support.servers import CacheServer, memcached_server, redis_server

SERVERS = {"redis": redis_server, "memcached": memcached_server}


@pytest.fixture(params=list(SERVERS))
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def server(scheme: str) -> Iterator[CacheServer]:
    with SERVERS[scheme]() as server:
        yield server


@pytest.fixture
async def cache(scheme: str, server: CacheServer, tmp_path: Path) -> Iterator[Cache]:
    cache = open_cache(tmp_path, f"{scheme}://{server.address}")
    yield cache
    await cache.close()


async def works(cache: Cache) -> bool:
    try:
        await cache.set("n:probe", b"1", 60)
        return await cache.get("n:probe") == b"1"
    except Unavailable:
        return False


async def until_it_works(cache: Cache) -> None:
    async with asyncio.timeout(20):
        while not await works(cache):  # noqa: ASYNC110 -- the server says nothing when it is back
            await asyncio.sleep(0.02)


async def test_a_killed_server_is_unavailable_and_used_again_after_its_restart(
    cache: Cache, server: CacheServer
) -> None:
    assert await works(cache)
    for _ in range(3):
        server.kill()
        for call in (cache.get("n:a"), cache.set("n:a", b"", 1), cache.add("n:a", b"", 1), cache.delete("n:a")):
            with pytest.raises(Unavailable, match=server.address):
                await call
        server.start()
        await until_it_works(cache)
        # However many connections there were, none of the old ones is met again.
        assert await asyncio.gather(*(works(cache) for _ in range(40))) == [True] * 40


async def test_calls_on_their_way_to_a_server_that_is_killed_fail(cache: Cache, server: CacheServer) -> None:
    assert await works(cache)
    server.pause()
    calls = [asyncio.create_task(cache.get("n:a")) for _ in range(30)]
    await asyncio.sleep(0.1)
    server.kill()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in ended} == {Unavailable}


async def test_a_hung_server_costs_a_bounded_time_and_its_late_answers_reach_nobody(
    cache: Cache, server: CacheServer
) -> None:
    await cache.set("n:a", b"a", 60)
    await cache.set("n:b", b"b", 60)
    server.pause()
    began = time.monotonic()
    ended = await asyncio.gather(*(cache.get("n:a") for _ in range(50)), return_exceptions=True)
    assert {type(one) for one in ended} == {Unavailable}
    assert time.monotonic() - began < 15
    server.resume()
    await until_it_works(cache)
    assert await asyncio.gather(*(cache.get("n:b") for _ in range(50))) == [b"b"] * 50
