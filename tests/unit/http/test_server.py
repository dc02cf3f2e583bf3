import asyncio
import re

import pytest

from kinema.core.errors import NotFound, TooLarge
from kinema.http import Exchange, Limits, Server, encode_head, spawn
from tests.unit.http.wire import connected, serving, until

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


async def ask(reader, writer, request: bytes) -> tuple[bytes, bytes]:
    """Send a request and read one answer that has a Content-Length."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return head, await reader.readexactly(int(length[1])) if length else b""


async def everything(reader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read()


def hello(exchange: Exchange) -> None:
    exchange.reply(200, ((b"content-type", b"text/plain"),), exchange.target.encode())


async def test_a_connection_serves_one_request_after_the_other():
    async with serving(hello) as server, connected(server) as (reader, writer):
        for target in (b"/a", b"/b?c=d", b"/a"):
            head, body = await ask(reader, writer, GET % target)
            assert body == target
            assert b"\r\ndate: " in head
            assert b"connection" not in head


async def test_pipelined_requests_are_answered_in_order_even_if_the_first_takes_longest():
    gates = [asyncio.Event() for _ in range(5)]
    begun: list[int] = []

    async def answer(exchange: Exchange, number: int) -> None:
        begun.append(number)
        await gates[number].wait()
        exchange.reply(200, (), b"%d" % number)

    def handler(exchange: Exchange) -> None:
        spawn(exchange, answer(exchange, int(exchange.path[1:])))

    async with serving(handler) as server, connected(server) as (reader, writer):
        writer.write(b"".join(GET % b"/%d" % number for number in range(5)))
        for gate in reversed(gates):
            gate.set()
        bodies = [(await ask(reader, writer, b""))[1] for _ in range(5)]

    assert bodies == [b"0", b"1", b"2", b"3", b"4"]
    assert begun == [0, 1, 2, 3, 4]


async def test_a_pipelined_body_waits_for_its_turn():
    first = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        if exchange.method == "GET":
            await first.wait()
        exchange.reply(200, (), await exchange.body())

    async with (
        serving(lambda exchange: spawn(exchange, answer(exchange)) and None) as server,
        connected(server) as (reader, writer),
    ):
        writer.write(GET % b"/" + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + GET % b"/")
        first.set()
        assert [(await ask(reader, writer, b""))[1] for _ in range(3)] == [b"", b"abc", b""]


async def test_too_many_pipelined_requests_end_the_connection_after_those_that_fit():
    gate = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200)

    async with (
        serving(lambda exchange: spawn(exchange, answer(exchange)) and None, Limits(pipelined=3)) as server,
        connected(server) as (reader, writer),
    ):
        writer.write(GET % b"/" * 50)
        await writer.drain()
        gate.set()
        data = await everything(reader)

    assert data.count(b"HTTP/1.1 200 ") == 4
    assert data.count(b"HTTP/1.1 429 ") == 1


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
async def test_the_client_decides_whether_the_connection_is_kept(request_, kept):
    async with serving(hello) as server, connected(server) as (reader, writer):
        head, _ = await ask(reader, writer, request_)
        if kept:
            assert (await ask(reader, writer, request_))[1] == b"/"
        else:
            assert b"connection: close" in head
            assert await everything(reader) == b""


async def test_unknown_length_is_chunked_and_ended_by_closing_for_http_1_0():
    def handler(exchange: Exchange) -> None:
        exchange.start(200)
        exchange.write(b"one")
        exchange.write(b"")
        exchange.write(memoryview(b"two"))
        exchange.finish()

    async with serving(handler) as server:
        async with connected(server) as (reader, writer):
            writer.write(GET % b"/")
            assert b"transfer-encoding: chunked" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(21) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        async with connected(server) as (reader, writer):
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            head, _, body = (await everything(reader)).partition(b"\r\n\r\n")
            assert body == b"onetwo"
            assert b"transfer-encoding" not in head


async def test_head_says_what_get_would_and_has_no_body():
    def handler(exchange: Exchange) -> None:
        if exchange.path == "/streamed":
            exchange.start(200, (), 5)
            exchange.write(b"hello") if exchange.method == "GET" else None
            exchange.finish()
        else:
            exchange.reply(200, (), b"hello")

    async with serving(handler) as server, connected(server) as (reader, writer):
        for target in (b"/", b"/streamed"):
            writer.write(b"HEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            assert b"content-length: 5" in await reader.readuntil(b"\r\n\r\n")
            assert (await ask(reader, writer, GET % target))[1] == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_have_no_length(status):
    async with serving(lambda exchange: exchange.reply(status)) as server, connected(server) as (reader, writer):
        for _ in range(2):
            writer.write(GET % b"/")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"content-length" not in head
            assert b"transfer-encoding" not in head


async def test_a_client_that_waits_for_100_gets_it_when_the_body_is_wanted():
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, (), await exchange.body())

    async with (
        serving(lambda exchange: spawn(exchange, answer(exchange)) and None) as server,
        connected(server) as (reader, writer),
    ):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await ask(reader, writer, b"abc"))[1] == b"abc"


async def test_a_refused_body_is_not_asked_for_and_ends_the_connection():
    async with serving(hello) as server, connected(server) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        answer = await everything(reader)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert b"100 Continue" not in answer


async def test_an_early_answer_to_a_small_upload_keeps_the_connection():
    async with serving(hello) as server, connected(server) as (reader, writer):
        head, _ = await ask(reader, writer, b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        assert b"connection" not in head
        assert (await ask(reader, writer, b"cd" + GET % b"/next"))[1] == b"/next"


async def test_an_early_answer_to_a_large_upload_reaches_the_client_that_is_still_sending():
    limits = Limits(discard_bytes=100_000, linger_seconds=0.2, sweep_seconds=0.05)
    async with serving(lambda exchange: exchange.fail(TooLarge("no")), limits) as server:
        async with connected(server) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + bytes(300_000))
            answer = await everything(reader)
        assert answer.startswith(b"HTTP/1.1 413 ")
        await until(lambda: not server.connections)


LIMITS = Limits(
    target_bytes=100, head_bytes=1000, header_count=10, body_bytes=50, linger_seconds=0.1, sweep_seconds=0.05
)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 200 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * 5000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 2000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 5000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 1000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 51\r\n\r\n" + bytes(51), 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n" + bytes(51) + b"\r\n0\r\n\r\n", 413),
    ],
    ids=["target", "endless target", "many fields", "big field", "endless field", "endless fields", "body", "chunks"],
)
@pytest.mark.parametrize("step", [1 << 20, 300], ids=["whole", "in pieces"])
async def test_what_is_over_a_limit_is_refused_with_its_status(request_, status, step):
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, (), await exchange.body())

    async with (
        serving(lambda exchange: spawn(exchange, answer(exchange)) and None, LIMITS) as server,
        connected(server) as (reader, writer),
    ):
        for start in range(0, len(request_), step):
            writer.write(request_[start : start + step])
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 %d " % status)


async def test_a_known_block_does_not_lift_the_limit_on_targets():
    async with serving(hello, LIMITS) as server, connected(server) as (reader, writer):
        for _ in range(2):
            assert (await ask(reader, writer, GET % b"/"))[1] == b"/"
        head, _ = await ask(reader, writer, GET % (b"/" + b"a" * 200))
        assert head.startswith(b"HTTP/1.1 414 ")


async def test_a_body_at_the_limit_is_taken():
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, (), await exchange.body())

    async with (
        serving(lambda exchange: spawn(exchange, answer(exchange)) and None, LIMITS) as server,
        connected(server) as (reader, writer),
    ):
        _, body = await ask(reader, writer, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n" + b"x" * 50)
        assert body == b"x" * 50


@pytest.mark.parametrize(("status", "body"), [(200, "text"), (200, None), (99, b""), (600, b"")])
async def test_what_is_no_answer_becomes_an_error_and_the_connection_goes_on(status, body):
    def handler(exchange):
        if exchange.path == "/bad":
            exchange.reply(status, (), body)
        else:
            exchange.reply(200, (), b"good")

    async with serving(handler) as server, connected(server) as (reader, writer):
        head, _ = await ask(reader, writer, GET % b"/bad")
        assert head.startswith(b"HTTP/1.1 500 ")
        _, body = await ask(reader, writer, GET % b"/good")
        assert body == b"good"


async def test_an_error_becomes_a_problem_document_and_the_connection_goes_on():
    def handler(exchange: Exchange) -> None:
        if exchange.path == "/bug":
            raise ZeroDivisionError
        raise NotFound("There is no title with the id 7.")

    async with serving(handler) as server, connected(server) as (reader, writer):
        head, body = await ask(reader, writer, GET % b"/")
        assert head.startswith(b"HTTP/1.1 404 ")
        assert b"application/problem+json" in head
        assert b"There is no title with the id 7." in body
        head, body = await ask(reader, writer, GET % b"/bug")
        assert head.startswith(b"HTTP/1.1 500 ")
        assert b"ZeroDivision" not in body


@pytest.mark.parametrize("shortfall", ["finish", "abort", "raise"])
async def test_half_an_answer_never_looks_whole(shortfall):
    def handler(exchange: Exchange) -> None:
        exchange.start(200, (), 10)
        exchange.write(b"half")
        if shortfall == "raise":
            raise NotFound("gone")
        getattr(exchange, shortfall)()

    async with serving(handler) as server, connected(server) as (reader, writer):
        writer.write(GET % b"/")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await ask(reader, writer, b"")


async def test_more_than_announced_is_refused():
    caught: list[Exception] = []

    def handler(exchange: Exchange) -> None:
        exchange.start(200, (), 3)
        try:
            exchange.write(b"four")
        except ValueError as error:
            caught.append(error)
        exchange.write(b"abc")
        exchange.finish()

    async with serving(handler) as server, connected(server) as (reader, writer):
        assert (await ask(reader, writer, GET % b"/"))[1] == b"abc"
    assert len(caught) == 1


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\nset-cookie: b"),
        (b"x\r\n", b""),
        (b"x", b"a\nb"),
        (b"x", b"\0"),
        (b"content-length", b"3"),
        (b"connection", b"x"),
    ],
)
def test_a_field_that_would_split_or_reframe_an_answer_is_refused(field):
    with pytest.raises(ValueError, match=r"header|connection"):
        encode_head(200, (field,))


async def test_a_disconnect_cancels_the_task_and_calls_back():
    ended: list[str] = []
    begun = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    async with serving(lambda exchange: spawn(exchange, answer(exchange)) and None) as server:
        async with connected(server) as (_, writer):
            writer.write(GET % b"/")
            await begun.wait()
        await until(lambda: ended == ["task"])
        assert not server.connections


async def test_a_client_that_leaves_in_mid_body_raises_in_who_reads_it():
    outcome: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def answer(exchange: Exchange) -> None:
        exchange.on_disconnect = None
        try:
            await exchange.body()
        except BaseException as error:
            outcome.set_result(error)
            raise

    async with serving(lambda exchange: spawn(exchange, answer(exchange)) and None) as server:
        async with connected(server) as (_, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
            await until(lambda: bool(server.connections))
        async with asyncio.timeout(5):
            assert type(await outcome).__name__ in {"Disconnected", "CancelledError"}


async def test_more_connections_than_allowed_are_told_so():
    async with (
        serving(hello, Limits(connections=2, linger_seconds=0.1, sweep_seconds=0.05)) as server,
        connected(server) as one,
        connected(server) as two,
        connected(server) as (reader, _),
    ):
        assert (await everything(reader)).startswith(b"HTTP/1.1 503 ")
        for pair in (one, two):
            assert (await ask(*pair, GET % b"/"))[1] == b"/"


async def test_drain_lets_answers_end_closes_idle_connections_and_accepts_no_more():
    gate = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200, (), b"done")

    def handler(exchange: Exchange) -> None:
        if exchange.path == "/slow":
            spawn(exchange, answer(exchange))
        else:
            exchange.reply(200)

    async with serving(handler) as server, connected(server) as busy, connected(server) as idle:
        await ask(*idle, GET % b"/")
        busy[1].write(GET % b"/slow")
        await until(lambda: any(not connection.idle for connection in server.connections))
        draining = asyncio.create_task(server.drain(10))
        assert await everything(idle[0]) == b""
        gate.set()
        head, body = await ask(*busy, b"")
        assert body == b"done"
        assert b"connection: close" in head
        await draining
        assert not server.connections
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_a_patient_drain_answers_what_an_idle_connection_still_brings_and_closes_it_then():
    async with serving(hello) as server, connected(server) as late, connected(server) as silent:
        for pair in (late, silent):
            await ask(*pair, GET % b"/")
        draining = asyncio.create_task(server.drain(10, 1.0))
        await until(lambda: server.draining)
        head, body = await ask(*late, GET % b"/late")
        assert body == b"/late"
        assert b"connection: close" in head
        assert await everything(late[0]) == b""
        assert await everything(silent[0]) == b""
        await draining


async def test_drain_cuts_what_does_not_end_in_time():
    async with serving(lambda exchange: None) as server, connected(server) as (reader, writer):
        writer.write(GET % b"/")
        await until(lambda: any(not connection.idle for connection in server.connections))
        await server.drain(0.05)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readuntil(b"\r\n")


async def test_a_unix_socket_serves_too(tmp_path):
    import socket

    from kinema.http import Client

    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "s"))
    server, client = Server(hello), Client()
    await server.start(sock)
    response = await client.fetch(f"unix:{tmp_path}/s", "GET", "/x")
    assert (response.status, response.body) == (200, b"/x")
    await client.close()
    await server.drain(1)
