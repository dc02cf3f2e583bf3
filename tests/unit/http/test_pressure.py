"""Slow, idle and hostile clients: time-outs, memory and order under pressure."""

import asyncio
import resource
import socket
import tracemalloc

import pytest

from kinema.http import Exchange, Limits, spawn
from tests.unit.http.wire import connected, serving, until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
QUICK = Limits(
    head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2, send_seconds=0.3, linger_seconds=0.1, sweep_seconds=0.05
)


def hello(exchange: Exchange) -> None:
    exchange.reply(200, (), b"hello")


async def drip(writer, data: bytes) -> None:
    """Send one byte at a time, for ever."""
    try:
        while True:
            for byte in data:
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0.02)
    except OSError:
        pass


@pytest.mark.parametrize(
    "begin", [b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET /", b""], ids=["fields", "target", "nothing yet"]
)
async def test_slowloris_in_the_head_is_cut_off(begin):
    async with serving(hello, QUICK) as server, connected(server) as (reader, writer):
        writer.write(begin)
        dripping = asyncio.create_task(drip(writer, b"X: y\r\n" if begin.endswith(b"\n") else b"G"))
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")) if begin else True
        await until(lambda: not server.connections)
        dripping.cancel()


async def test_a_body_that_stops_is_answered_408():
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, (), await exchange.body())

    async with (
        serving(lambda exchange: spawn(exchange, answer(exchange)) and None, QUICK) as server,
        connected(server) as (reader, writer),
    ):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_without_a_word():
    async with serving(hello, QUICK) as server, connected(server) as (reader, writer):
        writer.write(GET)
        async with asyncio.timeout(5):
            assert (await reader.read()).count(b"HTTP/1.1") == 1
        assert not server.connections


async def test_a_slow_answer_of_ours_is_not_timed_out():
    gate = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200)

    async with (
        serving(lambda exchange: spawn(exchange, answer(exchange)) and None, QUICK) as server,
        connected(server) as (reader, writer),
    ):
        writer.write(GET)
        begin = asyncio.get_running_loop().time()
        await until(lambda: server.now > begin + 0.6)
        gate.set()
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_two_thousand_idle_connections_cost_little_and_disturb_nobody():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 6000)), hard))
    async with serving(hello) as server:
        sockets = []
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            sock = socket.socket()
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
            sockets.append(sock)
        await until(lambda: len(server.connections) == 2000)
        each = (tracemalloc.get_traced_memory()[0] - before) / 2000
        tracemalloc.stop()
        async with connected(server) as (reader, writer):
            for _ in range(20):
                writer.write(GET)
                assert (await reader.readuntil(b"hello")).endswith(b"hello")
        for sock in sockets:
            sock.close()
        await until(lambda: not server.connections)
    assert each < 8_000


async def test_a_slow_reader_pauses_the_writer_and_memory_stays():
    written = 0
    paused = 0

    async def answer(exchange: Exchange) -> None:
        nonlocal written, paused
        chunk = b"x" * 65536
        exchange.start(200, (), 64 * 1024 * 1024)
        for _ in range(1024):
            written += len(chunk)
            if not exchange.write(chunk):
                paused += 1
                await exchange.writable()
        exchange.finish()

    async with serving(lambda exchange: spawn(exchange, answer(exchange)) and None) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        await loop.sock_sendall(sock, GET)
        await until(lambda: paused > 0)
        stopped_at = written
        assert stopped_at < 16 * 1024 * 1024
        (connection,) = server.connections
        assert connection.transport.get_write_buffer_size() < 1024 * 1024
        received = 0
        async with asyncio.timeout(20):
            while received < 64 * 1024 * 1024:
                received += len(await loop.sock_recv(sock, 1 << 20))
        assert written == 64 * 1024 * 1024
        sock.close()


async def test_a_reader_that_takes_nothing_is_cut_off():
    async with (
        serving(lambda exchange: exchange.reply(200, (), bytes(32 * 1024 * 1024)), QUICK) as server,
        connected(server) as (reader, writer),
    ):
        reader._transport.pause_reading()
        writer.write(GET)
        await until(lambda: bool(server.connections))
        await until(lambda: not server.connections)


async def test_a_client_that_sends_without_reading_its_answers_is_read_no_further():
    answered = 0

    def handler(exchange: Exchange) -> None:
        nonlocal answered
        answered += 1
        exchange.reply(200, (), bytes(1_000_000))

    async with serving(handler) as server:
        sock = socket.socket()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        await loop.sock_sendall(sock, GET * 60)
        await until(lambda: answered > 0)
        (connection,) = server.connections
        await until(lambda: connection.write_paused)
        assert answered < 20
        assert connection.transport.get_write_buffer_size() < 2_000_000
        received = 0
        async with asyncio.timeout(20):
            while received < 60 * 1_000_000:
                received += len(await loop.sock_recv(sock, 1 << 20))
        assert answered == 60
        sock.close()


async def test_an_upload_that_nobody_reads_is_not_taken_from_the_socket():
    exchanges: list[Exchange] = []
    async with serving(exchanges.append) as server:
        sock = socket.socket()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        await loop.sock_sendall(sock, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n")
        await until(lambda: bool(exchanges))
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    sent += await _some(loop, sock)
        assert sent < 16 * 1024 * 1024
        exchange = exchanges[0]
        received = 0
        over = asyncio.Event()

        def take(chunk: bytes) -> None:
            nonlocal received
            received += len(chunk)

        exchange.read_body(take, over.set, limit=1 << 30)
        async with asyncio.timeout(20):
            while sent < 33554432:
                sent += await _some(loop, sock, 33554432 - sent)
            await over.wait()
        assert received == 33554432
        exchange.reply(200)
        sock.close()


async def _some(loop, sock, most=65536):
    """Send once when the socket takes something; returns how much."""
    ready = loop.create_future()
    loop.add_writer(sock, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(sock)
    return sock.send(bytes(min(65536, most)))
