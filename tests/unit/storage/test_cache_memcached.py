"""The memcached engine beside servers that do not keep to the protocol. What real ones do is in tests/contract."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput, Unavailable
from kinema.storage.cache_memcached import MemcachedCache
from kinema.storage.engines import open_cache
from kinema.storage.memcached_connection import Connection, Refused


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[MemcachedCache, list[bytes]]]:
    """A server that gives each command line the next answer, whatever it asks; `seen` holds the lines."""
    seen: list[bytes] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            while line := await reader.readline():
                seen.append(line)
                if line.startswith(b"set"):
                    await reader.readexactly(int(line.split()[4]) + 2)
                writer.write(left.pop(0))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    cache = MemcachedCache("127.0.0.1", server.sockets[0].getsockname()[1], call_seconds=0.3)
    try:
        yield cache, seen
    finally:
        await cache.close()
        server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"VALUE n:a 0 x\r\n",
        b"VALUE n:a 0 -5\r\n",
        b"VALUE n:a\r\n",
        b"VALUE n:a 0 99999999999\r\n",
        b"VALUE n:a 0 2\r\nabcdEND\r\n",
        b"x" * 5000,
        b"ERROR\r\n",
        b"CLIENT_ERROR bad data chunk\r\n",
        b"",
        b"VALUE n:a 0 10\r\nabc",
    ],
    ids=lambda answer: repr(answer[:30]),
)
async def test_an_answer_that_is_not_understood_ends_the_connection_and_no_more(answer: bytes) -> None:
    async with answering(answer, b"VALUE n:b 0 1\r\n2\r\nEND\r\n") as (cache, _):
        with pytest.raises(Unavailable):
            await cache.get("n:a")
        assert await cache.get("n:b") == b"2"


async def test_a_refused_command_leaves_the_connection_in_step() -> None:
    async with answering(b"SERVER_ERROR out of memory storing object\r\n", b"STORED\r\n") as (cache, _):
        with pytest.raises(Unavailable, match="out of memory"):
            await cache.set("n:a", b"1", 60)
        assert await cache.set("n:a", b"1", 60)


async def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async with answering(b"END\r\nVALUE n:a 0 1\r\n1\r\nEND\r\n", b"END\r\n") as (cache, _):
        assert await cache.get("n:a") is None
        assert await cache.get("n:a") is None


async def test_a_connection_that_says_nothing_is_given_up_even_if_all_callers_lost_patience_before() -> None:
    """A machine that lost its power says nothing, and the kernel goes on trying for a quarter of an hour."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        silent = connections == 1
        while await reader.readline():
            writer.write(b"" if silent else b"END\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        cache = MemcachedCache("127.0.0.1", server.sockets[0].getsockname()[1], call_seconds=0.2)
        async with asyncio.timeout(20):
            answered = False
            while not answered:
                with suppress(TimeoutError, Unavailable):
                    answered = await asyncio.wait_for(cache.get("n:a"), 0.02) is None
        assert connections == 2
        await cache.close()


async def test_calls_on_a_connection_that_is_closed_fail_at_once_and_not_at_their_time_out() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(5):
            await reader.readline()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        cache = MemcachedCache("127.0.0.1", server.sockets[0].getsockname()[1], call_seconds=3600)
        async with asyncio.timeout(20):
            ended = await asyncio.gather(*(cache.get("n:a") for _ in range(5)), return_exceptions=True)
        assert {type(one) for one in ended} == {Unavailable}
        await cache.close()


async def test_times_are_whole_seconds_and_never_none() -> None:
    """An exptime of 0 would mean for ever."""
    async with answering(b"STORED\r\n", b"STORED\r\n", b"STORED\r\n") as (cache, seen):
        for ttl in (0.001, 1.0, 1.5):
            await cache.set("n:a", b"xyz", ttl)
        assert seen == [b"set n:a 0 1 3\r\n", b"set n:a 0 1 3\r\n", b"set n:a 0 2 3\r\n"]


VALUES = st.dictionaries(
    st.text("abc:", min_size=1, max_size=5).map(str.encode), st.binary(max_size=40), min_size=1, max_size=4
)


@given(VALUES, st.lists(st.integers(min_value=1, max_value=30), min_size=1, max_size=30))
def test_answers_are_the_same_however_they_are_cut(values: dict[bytes, bytes], cuts: list[int]) -> None:
    stream = b"STORED\r\n"
    for key, value in values.items():
        stream += b"VALUE %b 0 %d\r\n%b\r\n" % (key, len(value), value)
    stream += b"END\r\nNOT_FOUND\r\nSERVER_ERROR no\r\nEND\r\n"

    async def feed() -> list[object]:
        connection = Connection(10.0)
        connection.connection_made(_Silent())
        futures = [connection.send(b"") for _ in range(5)]
        rest, turn = stream, 0
        while rest:
            size = cuts[turn % len(cuts)]
            connection.data_received(rest[:size])
            rest, turn = rest[size:], turn + 1
        return await asyncio.gather(*futures, return_exceptions=True)

    stored, found, missing, refused, none = asyncio.run(feed())
    assert (stored, found, missing, none) == (b"STORED", values, b"NOT_FOUND", {})
    assert isinstance(refused, Refused)


class _Silent(asyncio.Transport):
    """A transport whose other end says only what the test hands in."""

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        pass


@pytest.mark.parametrize(
    "url",
    ["memcached://", "memcached://h:x", "memcached://h:0", "memcached://h/1", "memcached://u@h", "memcached://h?a=1"],
)
def test_an_address_that_is_not_understood_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cache_url"):
        open_cache(tmp_path, url)


@pytest.mark.parametrize(
    "url", ["redis://", "redis://h:x", "redis://h/a", "redis://h?a=1", "nats://h", "h:6379", "memory:?x=1"]
)
def test_other_addresses_that_are_not_understood_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cache_url"):
        open_cache(tmp_path, url)
