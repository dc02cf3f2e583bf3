"""WebSockets through a real gateway to a service of the `websockets` library, which is on both ends."""

import asyncio
import base64
import os
import resource
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from kinema.core.identity import unseal
from kinema.http import encode_head
from kinema.model.discovery import Instance
from kinema.services.gateway.routes import Route
from tests.support.fabric import bearer, fabric, until
from tests.unit.gateway import websocket_service
from tests.unit.gateway.websocket_service import chosen, handle

ROUTES = (
    Route(prefix="/v1/chat", service="chat", websocket=True),
    Route(prefix="/v1/plain", service="chat"),
)
HANDSHAKE = (
    (b"connection", b"upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", base64.b64encode(b"0123456789abcdef")),
)


@asynccontextmanager
async def registered(region, port, number=1):
    """A service on this port is known to the region."""
    one = Instance("chat", f"chat-{number}", f"127.0.0.1:{port}", "home", "a", "0")
    registration = region.registration(one)
    await registration.start()
    await until(lambda: one.address in [i.address for i in region.directory.instances("chat")])
    try:
        yield
    finally:
        await registration.close()


@asynccontextmanager
async def chatting(path, handler=handle, **options):
    """A region whose `chat` service speaks WebSocket."""
    async with (
        fabric(path, members=True, gateway=True, routes=ROUTES) as region,
        serve(handler, "127.0.0.1", 0, max_size=1 << 26, select_subprotocol=chosen, **options) as service,
        registered(region, service.sockets[0].getsockname()[1]),
    ):
        region.chat = service
        region.websockets = region.gateway._websockets
        yield region


def socket_of(region, token, path="/v1/chat", **options):
    options.setdefault("additional_headers", {"Authorization": f"Bearer {token}"})
    return connect(f"ws://{region.origin}{path}", proxy=None, max_size=1 << 26, **options)


async def test_messages_pass_both_ways_with_the_identity_of_who_is_signed_in(tmp_path):
    async with chatting(tmp_path) as region:
        token = await region.token("operator")
        headers = {"Authorization": f"Bearer {token}", "X-Kinema-Identity": "forged"}
        async with socket_of(region, token, subprotocols=["chat"], additional_headers=headers) as client:
            assert client.subprotocol == "chat"
            assert client.response.headers["X-Request-Id"]
            for message in ("hello", b"\x00\xff" * 100, "", "ü" * 70_000):
                await client.send(message)
                assert await client.recv() == message
            await client.send("identity")
            identity = unseal(await client.recv(), region.keys, region.clock.now())
            assert identity.role == "operator"
            async with asyncio.timeout(10):
                await (await client.ping())
            assert region.websockets.tunnels == 1
            assert not any(
                one.in_flight for pool in region.rpc.balancer._pools.values() for one in pool.members.values()
            )
        await until(lambda: region.websockets.tunnels == 0)
        await until(lambda: not region.client.tunnels and not region.server.connections)


async def test_large_messages_and_compression_pass_unread(tmp_path):
    async with chatting(tmp_path) as region:
        token = await region.token()
        for compression in (None, "deflate"):
            async with socket_of(region, token, compression=compression) as client:
                large = os.urandom(1 << 20) * 8
                await client.send(large)
                async with asyncio.timeout(30):
                    assert await client.recv() == large


async def test_a_slow_reader_slows_the_service_down_and_memory_stays(tmp_path):
    async with chatting(tmp_path) as region:
        token = bearer(await region.token())
        reader, writer = await asyncio.open_connection(*region.origin.split(":"), limit=4096)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        fields = b"".join(b"%b: %b\r\n" % pair for pair in ((b"host", region.origin.encode()), token, *HANDSHAKE))
        writer.write(b"GET /v1/chat HTTP/1.1\r\n%b\r\n" % fields)
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.transport.pause_reading()
        writer.write(b"\x81\x85\0\0\0\0flood")
        [tunnel] = region.websockets._open
        await until(lambda: tunnel.write_paused)
        [service] = region.client.tunnels
        await until(lambda: service._paused)
        assert tunnel.transport.get_write_buffer_size() < 1 << 20
        writer.transport.resume_reading()
        async with asyncio.timeout(30):
            await reader.readexactly(400 * (65_536 + 10))
        writer.close()
        await until(lambda: region.websockets.tunnels == 0 and not region.client.tunnels)


async def test_how_one_side_ends_is_how_the_other_hears_of_it(tmp_path):
    async with chatting(tmp_path) as region:
        token = await region.token()
        async with socket_of(region, token) as client:
            await client.send("bye")
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as you wish")
        async with socket_of(region, token) as client:
            await client.send("lose")
            with pytest.raises(ConnectionClosedError):
                await client.recv()
        async with socket_of(region, token) as client:
            client.transport.abort()
        await until(lambda: not region.chat.connections)
        await until(lambda: region.websockets.tunnels == 0 and not region.client.tunnels)


async def test_a_direction_that_ends_ends_on_the_other_side_and_the_rest_still_arrives(tmp_path):
    # A raw service: it hears the end of the client, and speaks on.
    heard = asyncio.Event()

    async def raw(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"upgrade: websocket" in head.lower()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\n\r\nfirst"
        )
        assert await reader.read() == b"to the end"
        heard.set()
        writer.write(b" last")
        writer.close()

    service = await asyncio.start_server(raw, "127.0.0.1", 0)
    async with (
        fabric(tmp_path, members=True, gateway=True, routes=ROUTES) as region,
        registered(region, service.sockets[0].getsockname()[1]),
    ):
        token = bearer(await region.token())
        reader, writer = await asyncio.open_connection(*region.origin.split(":"))
        fields = b"".join(b"%b: %b\r\n" % pair for pair in ((b"host", region.origin.encode()), token, *HANDSHAKE))
        writer.write(b"GET /v1/chat HTTP/1.1\r\n%b\r\n" % fields)
        async with asyncio.timeout(20):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await reader.readexactly(5) == b"first"
            writer.write(b"to the end")
            writer.write_eof()
            await heard.wait()
            assert await reader.read() == b" last"
        await until(lambda: region.gateway._websockets.tunnels == 0 and not region.client.tunnels)
        writer.close()
    service.close()


async def test_a_service_that_is_killed_ends_its_tunnels_and_is_502_before_them(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", websocket_service.__name__, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    async with asyncio.timeout(20):
        port = int(await process.stdout.readline())
    async with fabric(tmp_path, members=True, gateway=True, routes=ROUTES) as region, registered(region, port):
        token = await region.token()
        client = await socket_of(region, token).__aenter__()
        await client.send("hello")
        assert await client.recv() == "hello"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        with pytest.raises(ConnectionClosedError):
            await client.recv()
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(region, token).__aenter__()
        assert refused.value.response.status_code == 502
        await until(lambda: region.gateway._websockets.tunnels == 0)


async def test_another_instance_answers_when_one_refuses_connections(tmp_path):
    async with chatting(tmp_path) as region:
        dead = socket.socket()
        dead.bind(("127.0.0.1", 0))  # bound, not listening
        async with registered(region, dead.getsockname()[1], 2):
            token = await region.token()
            for _ in range(6):
                async with socket_of(region, token) as client:
                    await client.send("hello")
                    assert await client.recv() == "hello"
        dead.close()


async def test_without_an_instance_a_handshake_is_503(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True, routes=ROUTES) as region:
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(region, await region.token()).__aenter__()
        assert refused.value.response.status_code == 503


async def test_only_our_own_pages_and_signed_in_people_get_a_socket(tmp_path):
    async with chatting(tmp_path) as region:
        token = await region.token()
        cookie = {"Cookie": f"kinema_session={token}"}
        for headers, status in (
            ({}, 401),
            (cookie | {"Origin": "https://evil.example"}, 403),
            (cookie | {"Origin": f"http://{region.origin}.evil.example"}, 403),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await socket_of(region, "", additional_headers=headers).__aenter__()
            assert refused.value.response.status_code == status
        assert not region.chat.connections
        async with socket_of(region, "", additional_headers=cookie | {"Origin": f"http://{region.origin}"}) as client:
            await client.send("hello")
            assert await client.recv() == "hello"


async def test_routes_that_do_not_say_so_pass_no_websocket(tmp_path):
    async with chatting(tmp_path) as region:
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(region, await region.token(), "/v1/plain").__aenter__()
        assert refused.value.response.status_code == 426  # the service's own: it saw a plain request


async def test_a_service_that_answers_otherwise_is_heard(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True, routes=ROUTES) as region:
        await region.upstream("chat", lambda exchange: exchange.reply(409, (), b"not now"))
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(region, await region.token()).__aenter__()
        assert (refused.value.response.status_code, refused.value.response.body) == (409, b"not now")


@pytest.mark.parametrize(
    "fields", [(), ((b"sec-websocket-accept", b"of another question"),)], ids=["no token", "wrong"]
)
async def test_a_service_that_goes_over_without_the_right_token_is_cut_off(tmp_path, fields):
    async with fabric(tmp_path, members=True, gateway=True, routes=ROUTES) as region:
        await region.upstream("chat", lambda exchange: exchange.upgrade(encode_head(101, fields), b"websocket"))
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(region, await region.token()).__aenter__()
        assert refused.value.response.status_code == 502
        await until(lambda: not region.client.tunnels)


async def test_what_is_sent_before_the_answer_is_not_passed_on(tmp_path):
    waiting = []
    async with fabric(tmp_path, members=True, gateway=True, routes=ROUTES) as region:
        await region.upstream("chat", waiting.append)
        token = bearer(await region.token())
        reader, writer = await asyncio.open_connection(*region.origin.split(":"))
        fields = b"".join(b"%b: %b\r\n" % pair for pair in ((b"host", region.origin.encode()), token, *HANDSHAKE))
        writer.write(b"GET /v1/chat HTTP/1.1\r\n%b\r\n" % fields)
        await until(lambda: waiting)
        writer.write(b"GET /v1/secret HTTP/1.1\r\nHost: x\r\n\r\n")
        [connection] = region.server.connections
        await until(lambda: not connection._current.offers)
        accept = ((b"sec-websocket-accept", b"BACScCJPNqyz+UBoqMH89VmURoA="),)
        tunnel = waiting[0].upgrade(encode_head(101, accept), b"websocket")
        received = []
        tunnel.on_data = received.append
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        await until(lambda: not region.client.tunnels)
        assert received == []
        writer.close()


async def test_a_session_that_has_ended_loses_its_tunnels(tmp_path, monkeypatch):
    monkeypatch.setattr("kinema.services.gateway.websocket._VERIFY_SECONDS", 0.05)
    monkeypatch.setattr("kinema.services.gateway.sessions._FRESH_SECONDS", 0.05)
    async with chatting(tmp_path) as region:
        token, other = await region.token(), await region.token()
        async with socket_of(region, token) as client, socket_of(region, other) as steady:
            await client.send("hello")
            assert await client.recv() == "hello"
            async with region.sql.transaction() as connection:
                await connection.exec_driver_sql("DELETE FROM tokens WHERE rowid = 1")
            with pytest.raises(ConnectionClosedError):
                async with asyncio.timeout(20):
                    await client.recv()
            await steady.send("still here")
            assert await steady.recv() == "still here"


async def test_five_hundred_idle_tunnels_disturb_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr("kinema.services.gateway.websocket.MOST_PER_SESSION", 501)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_000)), hard))
    async with chatting(tmp_path, ping_interval=None) as region:
        token = await region.token()
        idle = []
        for _ in range(10):
            more = (socket_of(region, token, ping_interval=None, open_timeout=30).__aenter__() for _ in range(50))
            idle.extend(await asyncio.gather(*more))
        assert region.websockets.tunnels == 500
        async with socket_of(region, token) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            with pytest.raises(InvalidStatus) as refused:
                await socket_of(region, token).__aenter__()
            assert refused.value.response.status_code == 429
        for one in idle[::50]:
            await one.send("hello")
            assert await one.recv() == "hello"
        for one in idle:
            one.transport.abort()
        await until(lambda: region.websockets.tunnels == 0 and not region.client.tunnels, 30)
