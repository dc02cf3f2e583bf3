"""Upgrades: who may change the protocol, and what the raw connection keeps to afterwards, on both sides."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.http import Client, ClientLimits, Limits, ResponseInvalid, Server, TunnelLimits, encode_head
from kinema.http.connection import Connection
from tests.unit.http.wire import MemoryTransport, Recorder, connected, serving, split, until

OFFER = b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
PLAIN = b"GET /y HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = encode_head(101, ((b"x-field", b"yes"),))


class Echo:
    """Upgrades whatever offers it and sends back what comes."""

    def __init__(self):
        self.tunnels = []
        self.closed = 0

    def __call__(self, exchange):
        if not exchange.offers:
            exchange.reply(200, (), b"plain")
            return
        tunnel = exchange.upgrade(HEAD, b"echo")
        self.tunnels.append(tunnel)

        def echo(data):
            if not tunnel.write(data):
                tunnel.pause()

        def close():
            self.closed += 1

        tunnel.on_data, tunnel.on_writable = echo, tunnel.resume
        tunnel.on_eof, tunnel.on_close = tunnel.close, close


async def head_of(reader):
    async with asyncio.timeout(10):
        return await reader.readuntil(b"\r\n\r\n")


async def test_an_upgraded_connection_carries_raw_bytes_both_ways():
    echo = Echo()
    async with serving(echo) as server, connected(server) as (reader, writer):
        writer.write(OFFER)
        assert await head_of(reader) == (
            b"HTTP/1.1 101 Switching Protocols\r\nx-field: yes\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
        )
        for piece in (b"\x00\xff\r\n", PLAIN, OFFER):
            writer.write(piece)
            async with asyncio.timeout(10):
                assert await reader.readexactly(len(piece)) == piece
        assert server.connections == set(echo.tunnels)
        writer.write_eof()
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        await until(lambda: echo.closed == 1 and not server.connections)


@pytest.mark.parametrize(
    "request_",
    [
        OFFER.replace(b"Connection: Upgrade\r\n", b""),
        OFFER.replace(b"Upgrade\r\n\r\n", b"keep-alive\r\n\r\n"),
        OFFER.replace(b"HTTP/1.1", b"HTTP/1.0"),
        OFFER.replace(b"GET", b"HEAD"),
        OFFER.replace(b"GET", b"DELETE"),
        OFFER + PLAIN,
    ],
    ids=["no Connection", "another Connection", "1.0", "HEAD", "DELETE", "more behind it"],
)
async def test_what_is_no_sound_offer_is_a_plain_request(request_):
    async with serving(Echo()) as server, connected(server) as (reader, writer):
        writer.write(request_)
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")


async def test_an_offer_that_is_not_taken_is_answered_and_the_connection_goes_on():
    async with (
        serving(lambda exchange: exchange.reply(200, (), exchange.path.encode())) as server,
        connected(server) as (reader, writer),
    ):
        for _ in range(2):
            writer.write(OFFER + PLAIN)
            async with asyncio.timeout(10):
                assert (await reader.readuntil(b"/x")).startswith(b"HTTP/1.1 200 ")
                assert (await reader.readuntil(b"/y")).startswith(b"HTTP/1.1 200 ")


async def test_bytes_before_the_answer_end_the_offer():
    waiting, refused = [], []

    def handler(exchange):
        waiting.append(exchange)

    async with serving(handler) as server, connected(server) as (reader, writer):
        writer.write(OFFER)
        await until(lambda: waiting)
        writer.write(b"\x81\x85early")
        await until(lambda: not waiting[0].offers)
        try:
            waiting[0].upgrade(HEAD, b"echo")
        except BadInput as error:
            refused.append(error)
            waiting[0].fail(error)
        assert refused
        assert (await head_of(reader)).startswith(b"HTTP/1.1 400 ")


async def test_only_what_was_offered_can_be_taken():
    errors = []

    def handler(exchange):
        for protocol in (b"other", b""):
            with pytest.raises(BadInput):
                exchange.upgrade(HEAD, protocol)
            errors.append(protocol)
        exchange.upgrade(HEAD, b"two").close()

    async with serving(handler) as server, connected(server) as (reader, writer):
        writer.write(OFFER.replace(b"echo", b"One, TWO"))
        assert b"upgrade: two\r\n" in await head_of(reader)
        assert errors == [b"other", b""]


@given(st.lists(st.integers(0, 200), max_size=6), st.booleans())
def test_an_offer_is_the_same_however_it_is_cut(cuts, followed):
    offered = []

    def handler(exchange):
        offered.append(bool(exchange.offers))
        exchange.reply(200)

    connection = Connection(Server(handler))
    connection.connection_made(MemoryTransport())
    # What follows comes in the same piece as the end of the offer.
    pieces = split(OFFER, cuts)
    for piece in pieces[:-1]:
        connection.data_received(piece)
    connection.data_received(pieces[-1] + (PLAIN if followed else b""))
    assert offered == ([False, False] if followed else [True])


# -- limits ------------------------------------------------------------------------------------------------------------


async def test_a_reader_that_is_too_slow_pauses_the_writer_and_is_cut_off_when_it_takes_nothing():
    limits = Limits(sweep_seconds=0.05, tunnel=TunnelLimits(send_seconds=0.5, write_high_bytes=64 * 1024))
    echo = Echo()
    async with serving(echo, limits) as server, connected(server) as (reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        writer.write(OFFER)
        await head_of(reader)
        writer.transport.pause_reading()
        chunk = b"x" * 65536
        most = 0

        async def flood():
            nonlocal most
            while True:
                writer.write(chunk)
                await writer.drain()
                most = max(most, echo.tunnels[0].transport.get_write_buffer_size())

        flooding = asyncio.create_task(flood())
        await until(lambda: echo.closed == 1)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert most < 1 << 20
        assert not server.connections


async def test_large_amounts_arrive_whole_under_pressure():
    payload = bytes(range(256)) * 40_000
    async with serving(Echo()) as server, connected(server) as (reader, writer):
        writer.write(OFFER)
        await head_of(reader)

        async def send():
            for start in range(0, len(payload), 100_000):
                writer.write(payload[start : start + 100_000])
                await writer.drain()

        sending = asyncio.create_task(send())
        async with asyncio.timeout(30):
            assert await reader.readexactly(len(payload)) == payload
        await sending


async def test_an_idle_tunnel_is_closed():
    limits = Limits(sweep_seconds=0.05, tunnel=TunnelLimits(idle_seconds=0.3))
    echo = Echo()
    async with serving(echo, limits) as server, connected(server) as (reader, writer):
        writer.write(OFFER)
        await head_of(reader)
        await until(lambda: not server.connections)
        assert echo.closed == 1


async def test_after_one_side_has_ended_the_other_may_go_on_for_a_while_only():
    limits = Limits(sweep_seconds=0.05, tunnel=TunnelLimits(ended_seconds=0.5))
    ended = asyncio.Event()
    tunnels = []

    def handler(exchange):
        tunnel = exchange.upgrade(HEAD, b"echo")
        tunnel.on_eof = ended.set
        tunnels.append(tunnel)

    async with serving(handler, limits) as server, connected(server) as (reader, writer):
        writer.write(OFFER)
        await head_of(reader)
        writer.write_eof()
        async with asyncio.timeout(10):
            await ended.wait()
        assert tunnels[0].write(b"still here")
        async with asyncio.timeout(10):
            assert await reader.readexactly(10) == b"still here"
        await until(lambda: not server.connections)


async def test_draining_cuts_what_is_left():
    echo = Echo()
    async with serving(echo) as server, connected(server) as (reader, writer):
        writer.write(OFFER)
        await head_of(reader)
        async with asyncio.timeout(10):
            await server.drain(0.05)
            await until(lambda: echo.closed == 1)


# -- the client ----------------------------------------------------------------------------------------------------------


class Upgraded(Recorder):
    """What one call with an offer led to."""

    def __init__(self, client, origin, **options):
        super().__init__()
        self.tunnel = None
        self.received = b""
        self.call = client.send(origin, "GET", "/x", (), self, upgrade=b"echo", **options)
        self.call.on_upgrade = self.on_upgrade

    def on_upgrade(self, headers, tunnel):
        self.headers, self.tunnel = headers, tunnel
        tunnel.on_data = self.take
        tunnel.on_close = self.over.set

    def take(self, data):
        self.received += data


@asynccontextmanager
async def calling(limits=None):
    client = Client(limits)
    try:
        yield client
    finally:
        await client.close()


async def test_a_call_becomes_a_tunnel():
    async with serving(Echo()) as server, calling() as client:
        one = Upgraded(client, f"127.0.0.1:{server.port}")
        await until(lambda: one.tunnel is not None)
        assert one.headers.get(b"x-field") == b"yes"
        one.tunnel.write(b"hello")
        await until(lambda: one.received == b"hello")
        assert (one.events, client.active) == ([], [])
        one.tunnel.close()
        await until(lambda: not server.connections and not client.tunnels)


async def test_bytes_that_come_with_the_answer_belong_to_the_tunnel():
    def handler(exchange):
        exchange.upgrade(HEAD, b"echo").write(b"first words")

    async with serving(handler) as server, calling() as client:
        one = Upgraded(client, f"127.0.0.1:{server.port}")
        await until(lambda: one.received == b"first words")


async def test_another_answer_than_101_goes_to_the_sink_and_the_connection_is_kept():
    def handler(exchange):
        exchange.reply(403, (), b"no")

    async with serving(handler) as server, calling() as client:
        for _ in range(3):
            one = Upgraded(client, f"127.0.0.1:{server.port}")
            async with asyncio.timeout(10):
                await one.over.wait()
            assert (one.status, one.body, one.tunnel) == (403, b"no", None)
        assert len(server.connections) == 1


async def test_a_101_that_was_not_asked_for_is_refused():
    def handler(exchange):
        exchange._connection.transport.write(b"HTTP/1.1 101 S\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n")

    async with serving(handler) as server, calling() as client:
        with pytest.raises(ResponseInvalid):
            await client.fetch(f"127.0.0.1:{server.port}", "GET", "/")


async def test_tunnels_leave_the_pool_to_others():
    echo = Echo()
    async with serving(echo) as server, calling(ClientLimits(connections=2)) as client:
        origin = f"127.0.0.1:{server.port}"
        ones = [Upgraded(client, origin) for _ in range(6)]
        await until(lambda: all(one.tunnel for one in ones))
        assert (await client.fetch(origin, "GET", "/", timeout=10)).body == b"plain"
        assert len(client.tunnels) == 6


async def test_the_client_keeps_to_its_limits_on_tunnels():
    limits = ClientLimits(sweep_seconds=0.05, tunnel=TunnelLimits(idle_seconds=0.2))
    async with serving(Echo()) as server, calling(limits) as client:
        one = Upgraded(client, f"127.0.0.1:{server.port}")
        async with asyncio.timeout(20):
            await one.over.wait()
        assert one.tunnel is not None
        assert not client.tunnels


async def test_a_paused_tunnel_delivers_nothing_until_it_is_resumed():
    async with serving(Echo()) as server, calling() as client:
        one = Upgraded(client, f"127.0.0.1:{server.port}")
        await until(lambda: one.tunnel is not None)
        one.tunnel.pause()
        one.tunnel.data_received(b"came with the pause")
        assert one.received == b""
        one.tunnel.resume()
        assert one.received == b"came with the pause"
        one.tunnel.write(b"!")
        await until(lambda: one.received.endswith(b"!"))


async def test_a_holder_that_fails_ends_its_own_tunnel_only():
    def handler(exchange):
        def fail(data):
            raise RuntimeError("a mistake of the holder")

        exchange.upgrade(HEAD, b"echo").on_data = fail

    async with serving(handler) as server, calling() as client:
        one, other = (Upgraded(client, f"127.0.0.1:{server.port}") for _ in range(2))
        await until(lambda: one.tunnel is not None and other.tunnel is not None)
        one.tunnel.write(b"x")
        async with asyncio.timeout(10):
            await one.over.wait()
        assert len(server.connections) == 1


@pytest.mark.parametrize("protocol", [b"a b", b"a\r\nx: y", b"a,b"])
async def test_a_protocol_that_would_break_the_head_apart_is_refused(protocol):
    async with calling() as client:
        with pytest.raises(ValueError, match="protocol"):
            client.send("127.0.0.1:1", "GET", "/", (), Recorder(), upgrade=protocol)
