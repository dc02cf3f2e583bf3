"""The event stream: who hears what, and when nothing is asked."""

import asyncio
import socket

import msgspec

from kinema.core.clock import ManualClock
from kinema.http import Server
from kinema.services.gateway.push import Push
from kinema.services.gateway.push_event import PushEvent
from tests.support.fabric import bearer, fabric, until


class Catalog:
    def __init__(self):
        self.version = 1

    def __call__(self, exchange):
        exchange.reply(200, (), msgspec.json.encode({"version": self.version, "pinned": False}))


def job(progress):
    fields = {"id": "job_1", "title_id": "t", "upload_id": "u", "title": "A film", "state": "running", "step": "encode"}
    return fields | {"progress": progress, "rungs": [], "created_at": 1.0, "seconds": 2.0}


class Jobs:
    progress = 0.1

    def __call__(self, exchange):
        exchange.reply(200, (), msgspec.json.encode({"jobs": [job(self.progress)]}))


async def events(region, token):
    """Yield (event, data) as a browser would see them."""
    async with region.caller.stream(region.origin, "GET", "/v1/events", (bearer(token),)) as answer:
        assert answer.status == 200
        assert answer.headers.get(b"content-type") == b"text/event-stream"
        held = b""
        async for chunk in answer:
            held += chunk
            while b"\n\n" in held:
                block, _, held = held.partition(b"\n\n")
                fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
                if b"event" in fields:
                    yield fields[b"event"], msgspec.json.decode(fields[b"data"])


async def test_a_new_version_is_told_when_every_instance_serves_it(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        one, two = Catalog(), Catalog()
        first = await region.upstream("catalog", one, 1)
        await region.upstream("catalog", two, 2)
        await asyncio.sleep(0.2)
        assert first.seen == []
        stream = events(region, await region.token("viewer"))
        assert await anext(stream) == (b"catalog", {"version": 1})
        one.version = 2
        waiting = asyncio.ensure_future(anext(stream))
        asked = len(first.seen)
        await until(lambda: len(first.seen) >= asked + 2)
        assert not waiting.done()
        two.version = 2
        assert await waiting == (b"catalog", {"version": 2})
        await stream.aclose()
        push = region.gateway._push
        await until(lambda: len(push.registry) == 0 and not push._tasks)


async def test_jobs_are_for_operators(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        await region.upstream("catalog", Catalog())
        jobs = Jobs()
        await region.upstream("encoding", jobs)
        operator = events(region, await region.token("operator"))
        viewer = events(region, await region.token("viewer"))
        assert {(await anext(operator))[0] for _ in range(2)} == {b"catalog", b"jobs"}
        assert (await anext(viewer))[0] == b"catalog"
        hears = asyncio.ensure_future(anext(viewer))
        jobs.progress = 0.5
        name, data = await anext(operator)
        assert (name, data["jobs"][0]["progress"]) == (b"jobs", 0.5)
        assert not hears.done()
        hears.cancel()


async def test_nobody_listens_without_an_identity(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        assert (await region.get("/v1/events")).status == 401


async def test_a_client_that_does_not_read_is_dropped(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        _, writer = await asyncio.open_connection(*region.origin.split(":"), limit=1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        token = (await region.token("viewer")).encode()
        writer.write(b"GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % token)
        push = region.gateway._push
        await until(lambda: len(push.registry) == 1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            await push._send(PushEvent("large", b'"%b"' % (b"x" * 65_536)), push.registry.all())
            await asyncio.sleep(0)
        assert len(push.registry) == 0
        assert push.snapshot().dropped == {"slow": 1}
        writer.close()


async def test_drain_ends_the_streams_so_that_the_server_can_stop(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        await region.upstream("catalog", Catalog())
        stream = events(region, await region.token("viewer"))
        await anext(stream)
        assert isinstance(region.server, Server)
        await region.gateway.drain()
        [(name, data)] = [event async for event in stream]
        assert name == b"reconnect"
        assert 100 <= data["after_ms"] <= 1_000


async def test_who_comes_while_the_poll_ends_does_not_count_on_it():
    push = Push(None, None, ManualClock())
    push._begin(push._follow())
    push._begin(push._turns())
    await asyncio.sleep(0)
    assert not push._tasks


async def test_one_session_may_not_open_streams_without_end(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        await region.upstream("catalog", Catalog())
        token = await region.token("viewer")
        streams = [events(region, token) for _ in range(12)]
        for stream in streams:
            await anext(stream)
        assert (await region.get("/v1/events", bearer(token))).status == 429
        await streams.pop().aclose()
        await until(lambda: len(region.gateway._push.registry) == 11)
        assert await anext(events(region, token))
