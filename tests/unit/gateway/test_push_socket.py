"""Devices on a WebSocket: who may connect, what keeps them, and what ends them. The client is the `websockets` library."""

import asyncio
import base64
import random
import socket
import struct
import time

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kinema.core.clock import ManualClock
from kinema.services.gateway.push_registry import PushLimits
from tests.support.fabric import bearer, until
from tests.unit.gateway.push_room import DEVICE, gateways, hear, to_everybody

HANDSHAKE = (
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", base64.b64encode(b"0123456789abcdef")),
)


async def test_a_device_is_greeted_and_hears_messages(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = await region.token("viewer")
        async with gateway.socket(token) as device:
            hello = await hear(device, own=True)
            assert (hello["type"], hello["data"]["device"]) == ("hello", DEVICE)
            status, report = await gateway.send(await region.token("operator"), to_everybody(data={"n": 1}))
            assert (status, report["devices"]) == (200, 1)
            assert await hear(device) == {"id": report["message_id"], "type": "title", "data": {"n": 1}}
            assert device.response.headers["X-Request-Id"]
        await until(lambda: len(gateway.push.registry) == 0)
        assert gateway.push.snapshot().delivered == 1


async def test_a_device_says_who_it_is(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = await region.token()
        for device in ("short", "a%20b" * 5, "x" * 65, ""):
            with pytest.raises(InvalidStatus) as refused:
                await gateway.socket(token, device).__aenter__()
            assert refused.value.response.status_code == 400
        async with gateway.socket(token, "x" * 64) as connection:
            assert await hear(connection, own=True)


async def test_nobody_connects_without_a_session_or_from_another_sites_page(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = await region.token()
        cookie = {"Cookie": f"kinema_session={token}"}
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            (cookie | {"Origin": "https://evil.example"}, 403),
            (cookie | {"Origin": "null"}, 403),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await gateway.socket("", additional_headers=headers).__aenter__()
            assert refused.value.response.status_code == status
        async with gateway.socket("", additional_headers=cookie | {"Origin": f"http://{gateway.origin}"}) as device:
            assert await hear(device, own=True)


async def test_what_is_no_websocket_is_told_so(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = bearer(await region.token())
        path = f"/v1/push?device={DEVICE}"
        for method in ("GET", "POST"):
            answer = await gateway.get(path, token, method=method)
            assert (answer.status, answer.headers.get(b"upgrade")) == (426, b"websocket")
        for name, value in ((b"sec-websocket-key", b"short"), (b"sec-websocket-version", b"8")):
            reader, writer = await asyncio.open_connection(*gateway.origin.split(":"))
            fields = [(n, value if n == name else v) for n, v in HANDSHAKE]
            lines = b"".join(
                b"%b: %b\r\n" % pair for pair in ((b"host", b"x"), (b"connection", b"upgrade"), token, *fields)
            )
            writer.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), lines))
            async with asyncio.timeout(10):
                assert (await reader.readline()).split()[1] in {b"400", b"426"}
            writer.close()


async def test_the_same_device_takes_its_own_place(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = await region.token()
        async with gateway.socket(token) as before, gateway.socket(token) as after:
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await before.recv()
            assert closed.value.rcvd.code == 4001
            assert await hear(after, own=True)
            await until(lambda: len(gateway.push.registry) == 1)


async def test_a_client_that_cannot_ping_asks_by_text(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)), gateway.socket(await region.token()) as device:
        await device.send('{"type": "ping"}')
        assert await hear(device) == {"type": "pong", "data": {}}
        async with asyncio.timeout(10):
            await (await device.ping())
        for text in ("", "nonsense", "[]", '{"type": 5}', '{"x": ' + "[" * 4_000, '{"type": "ping", "more": [1]}'):
            await device.send(text)
        assert await hear(device) == {"type": "pong", "data": {}}


async def test_what_a_client_may_not_send_ends_its_connection(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = await region.token()
        for said, code in ((b"bytes", 1003), ("x" * 5_000, 1009), (["x" * 3_000, "y" * 3_000], 1009)):
            async with gateway.socket(token) as device:
                await hear(device, own=True)
                await device.send(said)
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        await hear(device)
                assert closed.value.rcvd.code == code
        await until(lambda: not gateway.server.connections)


async def test_who_sends_too_often_or_too_much_is_cut_off(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        for text, count in (('{"type": "x"}', 100), ("x" * 4_000, 30)):
            async with gateway.socket(await region.token()) as device:
                with pytest.raises(ConnectionClosed) as closed:
                    for _ in range(count):
                        await device.send(text)
                    while True:
                        await hear(device)
                assert closed.value.rcvd.code == 1008


async def raw(gateway, token, device="raw-device-1"):
    """Shake hands by hand; what follows is bytes."""
    reader, writer = await asyncio.open_connection(*gateway.origin.split(":"))
    lines = b"".join(b"%b: %b\r\n" % pair for pair in ((b"host", b"x"), (b"connection", b"upgrade"), token, *HANDSHAKE))
    writer.write(b"GET /v1/push?device=%b HTTP/1.1\r\n%b\r\n" % (device.encode(), lines))
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


def frame(opcode, payload=b"", *, final=True, masked=True, reserved=0):
    first = (0x80 if final else 0) | reserved << 4 | opcode
    size = bytes([len(payload) | (0x80 if masked else 0)])
    return bytes([first]) + size + (b"\0\0\0\0" if masked else b"") + payload


BROKEN = {
    "unmasked": (frame(1, b"hello", masked=False), 1002),
    "no UTF-8": (frame(1, b"\xff\xfe"), 1007),
    "an unknown opcode": (frame(3), 1002),
    "a reserved bit": (frame(1, b"x", reserved=4), 1002),
    "a ping in pieces": (frame(9, b"x", final=False), 1002),
    "the rest of nothing": (frame(0, b"goes on"), 1002),
    "half a close code": (frame(8, b"\x03"), 1002),
    "a close code that is none": (frame(8, struct.pack("!H", 1005)), 1002),
    "a length beyond all bounds": (bytes([0x81, 0xFF]) + b"\xff" * 12, 1002),
}


async def test_broken_frames_are_answered_with_a_close_code(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = bearer(await region.token())
        for name, (data, code) in BROKEN.items():
            reader, writer = await raw(gateway, token)
            writer.write(data)
            async with asyncio.timeout(20):
                answer = await reader.read()
            place = answer.rindex(b"\x88")
            assert struct.unpack("!H", answer[place + 2 : place + 4]) == (code,), name
            writer.close()
        await until(lambda: len(gateway.push.registry) == 0)


async def test_arbitrary_bytes_end_one_connection_and_nothing_else(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = bearer(await region.token())
        draw = random.Random(5)
        async with gateway.socket(await region.token(), "steady-device") as steady:
            for _ in range(30):
                reader, writer = await raw(gateway, token)
                writer.write(draw.randbytes(draw.randint(1, 300)))
                writer.write_eof()
                async with asyncio.timeout(20):
                    await reader.read()
                writer.close()
            await gateway.send(await region.token("operator"), to_everybody())
            assert (await hear(steady))["type"] == "title"


async def test_a_closing_handshake_is_answered(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        device = await gateway.socket(await region.token()).__aenter__()
        async with asyncio.timeout(10):
            await device.close(1000, "enough")
        assert device.close_code == 1000
        await until(lambda: len(gateway.push.registry) == 0 and not gateway.server.connections)


# -- what ends a connection by itself ------------------------------------------------------------------------------------


async def test_a_device_that_gives_no_sign_of_life_is_cut(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        _, writer = await raw(gateway, bearer(await region.token()))
        [device] = gateway.push.registry.all()
        assert device.ping()
        assert not device.ping()
        writer.write(frame(10))
        await until(lambda: device._heard)
        assert device.ping()
        writer.close()


async def test_a_device_that_does_not_read_is_dropped(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        _, writer = await raw(gateway, bearer(await region.token()))
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.transport.pause_reading()
        operator = await region.token("operator")
        for _ in range(3_000):
            _, report = await gateway.send(operator, to_everybody(data="x" * 4_000))
            if not report["devices"]:
                break
        assert gateway.push.snapshot().dropped == {"slow": 1}
        writer.close()


async def test_limits_hold_by_session_by_account_and_in_all(tmp_path):
    limits = PushLimits(connections=4, per_session=3, per_account=3)
    async with gateways(tmp_path, push_limits=limits) as (region, (gateway,)):
        token, other = await region.token(), await region.token()
        open_ = [await gateway.socket(token, f"device-number-{n}").__aenter__() for n in range(3)]
        for wanted in (token,):
            with pytest.raises(InvalidStatus) as refused:
                await gateway.socket(wanted, "one-too-many").__aenter__()
            assert refused.value.response.status_code == 429
        open_.append(await gateway.socket(other, "of-somebody-else").__aenter__())
        with pytest.raises(InvalidStatus) as refused:
            await gateway.socket(await region.token(), "of-yet-another").__aenter__()
        assert refused.value.response.status_code == 429
        for one in open_:
            await one.close()
        await until(lambda: len(gateway.push.registry) == 0)


async def test_draining_sends_every_device_elsewhere_each_at_its_own_time(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = await region.token()
        open_ = [await gateway.socket(token, f"device-number-{n}").__aenter__() for n in range(8)]
        await gateway.gateway.drain()
        waits = set()
        for device in open_:
            said = await hear(device)
            assert said["type"] == "reconnect"
            waits.add(said["data"]["after_ms"])
            with pytest.raises(ConnectionClosed) as closed:
                await device.recv()
            assert closed.value.rcvd.code == 1012
        assert len(waits) > 4
        assert all(100 <= wait <= 1_000 for wait in waits)
        with pytest.raises(InvalidStatus) as refused:
            await gateway.socket(token).__aenter__()
        assert refused.value.response.status_code == 503
        await until(lambda: not gateway.server.connections)


async def test_after_its_lifetime_a_device_is_asked_to_come_again(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        clock = gateway.push._clock = ManualClock()
        async with gateway.socket(await region.token()) as device:
            await hear(device, own=True)
            [registered] = gateway.push.registry.all()
            assert 1_440 <= registered.ends_at - clock.monotonic() <= 2_160
            registered.ends_at = clock.monotonic() + 5
            said = asyncio.ensure_future(hear(device))
            while not said.done():
                clock.advance(1)
                await asyncio.sleep(0.005)
            assert (await said)["type"] == "reconnect"


async def test_whose_session_ends_is_sent_away(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        clock = ManualClock(time.time())
        gateway.push._clock = gateway.push._sessions._clock = clock
        token = await region.token()
        async with gateway.socket(token) as device:
            await hear(device, own=True)
            operator = bearer(await region.token("operator"))
            tokens = msgspec.json.decode((await gateway.get("/v1/tokens", operator)).body)["tokens"]
            [viewer] = [one["token"] for one in tokens if one["role"] == "viewer"]
            assert (await gateway.get(f"/v1/tokens/{viewer}", operator, method="DELETE")).status < 300
            with pytest.raises(ConnectionClosed) as closed:
                async with asyncio.timeout(20):
                    while True:
                        clock.advance(1)
                        try:
                            await asyncio.wait_for(device.recv(), 0.01)
                        except TimeoutError:
                            continue
            assert closed.value.rcvd.code == 1008
