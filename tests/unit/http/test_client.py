import asyncio
from contextlib import asynccontextmanager

import pytest

from kinema.core.errors import TooLarge
from kinema.http import (
    Client,
    ClientLimits,
    ConnectFailed,
    ConnectionLost,
    Exchange,
    PoolFull,
    ResponseInvalid,
    TimedOut,
    Upload,
    spawn,
)
from tests.unit.http.wire import Recorder, serving, until


@asynccontextmanager
async def calling(limits: ClientLimits | None = None):
    client = Client(limits)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def scripted(*answers: bytes | None):
    """A server that reads a head on each connection and answers with raw bytes, then closes; None: closes at once."""
    script = list(answers)
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while script:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
                reply = script.pop(0)
                if reply is None:
                    break
                writer.write(reply)
                if b"keep" not in reply:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


def echo(exchange: Exchange) -> None:
    async def answer() -> None:
        exchange.reply(200, (), await exchange.body(1 << 30))

    spawn(exchange, answer())


KEEP = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeep"


async def test_a_connection_is_used_again():
    async with serving(echo) as server, calling() as client:
        origin = f"127.0.0.1:{server.port}"
        for number in range(5):
            response = await client.fetch(origin, "POST", "/", (), b"%d" % number)
            assert response.body == b"%d" % number
        assert len(server.connections) == 1


async def test_concurrent_calls_share_at_most_so_many_connections():
    async with serving(echo) as server, calling(ClientLimits(connections=3)) as client:
        origin = f"127.0.0.1:{server.port}"
        answers = await asyncio.gather(*(client.fetch(origin, "POST", "/", (), b"%d" % n) for n in range(50)))
        assert [answer.body for answer in answers] == [b"%d" % n for n in range(50)]
        assert len(server.connections) <= 3


async def test_the_queue_for_a_connection_is_bounded():
    async with serving(lambda exchange: None) as server, calling(ClientLimits(connections=1, waiting=2)) as client:
        sinks = [Recorder() for _ in range(6)]
        for sink in sinks:
            client.send(f"127.0.0.1:{server.port}", "GET", "/", (), sink)
            await asyncio.sleep(0)
        await until(lambda: sum(isinstance(sink.error, PoolFull) for sink in sinks) >= 3)


async def test_a_kept_connection_that_was_closed_is_replaced_for_a_safe_call():
    async with scripted(KEEP, None, KEEP) as (origin, seen), calling() as client:
        assert (await client.fetch(origin, "GET", "/1")).body == b"keep"
        assert (await client.fetch(origin, "GET", "/2")).body == b"keep"
        assert [line.split()[1] for line in seen] == [b"/1", b"/2", b"/2"]


async def test_a_post_on_a_connection_that_was_closed_is_not_repeated():
    async with scripted(KEEP, None, KEEP) as (origin, seen), calling() as client:
        await client.fetch(origin, "POST", "/1")
        with pytest.raises(ConnectionLost) as caught:
            await client.fetch(origin, "POST", "/2")
        assert caught.value.before_head
        assert len(seen) == 2


async def test_a_new_connection_that_is_closed_without_an_answer_is_not_retried_here():
    async with scripted(None, KEEP) as (origin, _), calling() as client:
        with pytest.raises(ConnectionLost):
            await client.fetch(origin, "GET", "/")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ],
)
async def test_a_truncated_answer_is_an_error(answer):
    async with scripted(answer) as (origin, _), calling() as client:
        with pytest.raises(ConnectionLost) as caught:
            await client.fetch(origin, "GET", "/")
        assert not caught.value.before_head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nx: a\n\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
    ],
)
async def test_an_answer_that_cannot_be_trusted_is_refused(answer):
    async with scripted(answer) as (origin, _), calling() as client:
        with pytest.raises(ResponseInvalid):
            await client.fetch(origin, "GET", "/")


async def test_an_answer_without_length_ends_with_the_connection():
    async with scripted(b"HTTP/1.1 200 OK\r\n\r\nall of it") as (origin, _), calling() as client:
        assert (await client.fetch(origin, "GET", "/")).body == b"all of it"


async def test_bytes_after_an_answer_are_never_taken_for_the_next():
    poisoned = KEEP + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    async with scripted(poisoned, KEEP) as (origin, _), calling() as client:
        assert (await client.fetch(origin, "GET", "/1")).body == b"keep"
        assert (await client.fetch(origin, "GET", "/2")).body != b"evil"


async def test_the_head_of_a_head_is_all_there_is():
    async with (
        scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx: keep\r\n\r\n", KEEP) as (origin, _),
        calling() as client,
    ):
        assert (await client.fetch(origin, "HEAD", "/")).headers.get(b"content-length") == b"4"
        assert (await client.fetch(origin, "GET", "/")).body == b"keep"


async def test_no_connection_is_an_error_of_its_own(tmp_path):
    async with calling() as client:
        with pytest.raises(ConnectFailed):
            await client.fetch("127.0.0.1:1", "GET", "/")
        with pytest.raises(ConnectFailed):
            await client.fetch(f"unix:{tmp_path}/none", "GET", "/")
        with pytest.raises(ValueError, match="origin"):
            await client.fetch("nowhere", "GET", "/")


async def test_a_call_that_takes_too_long_ends_and_its_connection_with_it():
    async with serving(lambda exchange: None) as server, calling() as client:
        with pytest.raises(TimedOut):
            await client.fetch(f"127.0.0.1:{server.port}", "GET", "/", timeout=0.1)
        await until(lambda: not server.connections)


async def test_a_cancelled_call_is_heard_of_no_more():
    async with serving(lambda exchange: None) as server, calling() as client:
        sink = Recorder()
        call = client.send(f"127.0.0.1:{server.port}", "GET", "/", (), sink)
        await until(lambda: bool(server.connections))
        call.cancel()
        await until(lambda: not server.connections)
        assert sink.events == []
        assert not client.active


async def test_idle_connections_are_closed_after_a_while():
    async with serving(echo) as server, calling(ClientLimits(idle_seconds=0.1)) as client:
        await client.fetch(f"127.0.0.1:{server.port}", "GET", "/")
        assert len(server.connections) == 1
        await until(lambda: not server.connections)


async def test_a_paused_call_holds_back_the_other_side_and_loses_nothing():
    written = 0

    def handler(exchange: Exchange) -> None:
        async def answer() -> None:
            nonlocal written
            exchange.start(200, (), 32 << 20)
            for _ in range(512):
                written += 65536
                if not exchange.write(bytes(65536)):
                    await exchange.writable()
            exchange.finish()

        spawn(exchange, answer())

    async with serving(handler) as server, calling() as client:
        sink = Recorder()
        call = client.send(f"127.0.0.1:{server.port}", "GET", "/", (), sink)
        call.pause()
        await until(lambda: bool(server.connections) and any(c.write_paused for c in server.connections))
        assert sink.body == b""
        assert written < 32 << 20
        call.resume()
        async with asyncio.timeout(20):
            await sink.over.wait()
        assert len(sink.body) == 32 << 20


@pytest.mark.parametrize("length", [None, 3 * 100_000])
async def test_an_upload_is_written_piece_by_piece(length):
    async with serving(echo) as server, calling() as client:
        sink = Recorder()
        call = client.send(f"127.0.0.1:{server.port}", "POST", "/", (), sink, body=Upload(length))
        for letter in (b"a", b"b", b"c"):
            call.write(letter * 100_000)
            await asyncio.sleep(0)
        call.finish()
        async with asyncio.timeout(10):
            await sink.over.wait()
        assert sink.body == b"a" * 100_000 + b"b" * 100_000 + b"c" * 100_000


async def test_streaming_yields_pieces_and_leaving_early_closes_the_connection():
    def handler(exchange: Exchange) -> None:
        exchange.start(200)
        exchange.write(b"first")

    async with serving(handler) as server, calling() as client:
        async with client.stream(f"127.0.0.1:{server.port}", "GET", "/") as incoming:
            assert incoming.status == 200
            assert await anext(incoming) == b"first"
        await until(lambda: not server.connections)


async def test_a_body_larger_than_fetch_takes_is_refused():
    async with (
        serving(lambda e: e.reply(200, (), bytes(5000))) as server,
        calling(ClientLimits(fetch_bytes=1000)) as client,
    ):
        with pytest.raises(TooLarge):
            await client.fetch(f"127.0.0.1:{server.port}", "GET", "/")


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/a b", ()), ("/a\r\nx: y", ()), ("", ()), ("/", ((b"x", b"a\r\nb: c"),)), ("/", ((b"content-length", b"3"),))],
)
async def test_a_request_that_would_break_apart_is_not_sent(target, headers):
    async with calling() as client:
        with pytest.raises(ValueError, match="request"):
            await client.fetch("127.0.0.1:1", "GET", target, headers)
