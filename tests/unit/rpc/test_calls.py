"""Directory, registration and calls against real registries over real sockets."""

import asyncio
import time

import msgspec
import pytest

from kinema.core.errors import NotFound, Unavailable
from kinema.core.identity import HEADER, Identity, seal, unseal
from kinema.core.problem import encode, problem_of
from kinema.http import ConnectionLost, TimedOut
from kinema.model.discovery import Instance, Registry
from kinema.rpc.badge import Badge
from kinema.rpc.directory import PATH
from tests.support.fabric import fabric, until


class Answer(msgspec.Struct, frozen=True):
    value: int


def answer(value):
    return lambda exchange: exchange.reply(200, (), b'{"value": %d}' % value)


def addresses(region, service="s"):
    return {one.address for one in region.directory.instances(service)}


async def test_a_call_says_who_calls_until_when_and_in_which_trace(tmp_path):
    async with fabric(tmp_path) as region:
        service = await region.upstream("s", answer(7))
        assert await region.rpc.call("s", "POST", "/x", {"a": 1}, type=Answer) == Answer(7)
        [seen] = service.seen
        now = region.clock.now()
        assert unseal(seen.headers.get(HEADER.encode()).decode(), region.keys, now).role == "service"
        left, retries = seen.headers.get(b"x-kinema-deadline").split(b";")
        assert 4000 < int(left) <= 5000
        assert retries == b"retries=3"
        assert seen.headers.get(b"x-kinema-priority") == b"degraded"
        assert len(seen.headers.get(b"traceparent")) == 55
        member = Identity("acc", "viewer", "ses", now + 60)
        await region.rpc.call("s", "GET", "/x", type=Answer, identity=member)
        assert unseal(service.seen[1].headers.get(HEADER.encode()).decode(), region.keys, now) == member


async def test_a_problem_comes_back_as_the_error_that_it_stands_for(tmp_path):
    async with fabric(tmp_path) as region:
        error = NotFound("There is no film 7.")
        await region.upstream("s", lambda exchange: exchange.reply(404, (), encode(problem_of(error))))
        with pytest.raises(NotFound, match="no film 7"):
            await region.rpc.call("s", "GET", "/x", type=Answer)


async def test_what_is_not_the_type_asked_for_is_an_error_that_names_both_sides(tmp_path):
    async with fabric(tmp_path) as region:
        await region.upstream("s", lambda exchange: exchange.reply(200, (), b'{"value": "x"}'))
        with pytest.raises(Unavailable, match="s answered /x"):
            await region.rpc.call("s", "GET", "/x", type=Answer)


async def test_a_killed_instance_is_passed_over_at_once_and_leaves_within_ten_seconds(tmp_path):
    async with fabric(tmp_path) as region:
        first = await region.upstream("s", answer(1), 1)
        await region.upstream("s", answer(2), 2)
        killed = time.monotonic()
        await first.kill()
        for _ in range(20):
            assert await region.rpc.call("s", "POST", "/x", type=Answer) == Answer(2)
        await until(lambda: first.address not in addresses(region), 10)
        assert time.monotonic() - killed < 10


async def test_a_clean_stop_leaves_at_once(tmp_path):
    async with fabric(tmp_path) as region:
        first = await region.upstream("s", answer(1), 1)
        started = time.monotonic()
        await first.registration.sign_off()
        await until(lambda: not addresses(region))
        assert time.monotonic() - started < 3


async def test_calls_go_on_when_both_registries_are_gone_and_when_they_come_back_empty(tmp_path):
    async with fabric(tmp_path) as region:
        service = await region.upstream("s", answer(1))
        ports = [registry.port for registry in region.registries]
        await asyncio.gather(*(registry.stop() for registry in region.registries))
        await until(lambda: not region.directory.answering)
        assert await region.rpc.call("s", "GET", "/x", type=Answer) == Answer(1)
        region.registries = [region.registry(n, port) for n, port in enumerate(ports, 1)]
        seen = set()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            seen.add(frozenset(addresses(region)))
            await asyncio.sleep(0.01)
        assert seen == {frozenset({service.address})}
        assert region.directory.answering


async def test_one_registry_is_enough(tmp_path):
    async with fabric(tmp_path) as region:
        await region.registries.pop().stop()
        await region.upstream("s", answer(1))
        assert await region.rpc.call("s", "GET", "/x", type=Answer) == Answer(1)


async def test_a_call_waits_a_little_for_a_service_that_is_just_starting(tmp_path):
    async with fabric(tmp_path) as region:
        call = asyncio.ensure_future(region.rpc.call("s", "GET", "/x", type=Answer))
        await region.upstream("s", answer(3))
        assert await call == Answer(3)
        with pytest.raises(Unavailable, match="No instance of other"):
            await region.rpc.call("other", "GET", "/x", deadline_seconds=0.2)


async def test_only_what_is_safe_is_sent_again(tmp_path):
    async with fabric(tmp_path) as region:
        seen = []

        def lose(exchange):
            seen.append(exchange.method)
            exchange.abort()

        await region.upstream("s", lose, 1)
        await region.upstream("s", lose, 2)
        with pytest.raises(ConnectionLost):
            await region.rpc.call("s", "POST", "/x")
        assert seen == ["POST"]
        with pytest.raises(ConnectionLost):
            await region.rpc.call("s", "GET", "/x")
        assert seen == ["POST", "GET", "GET", "GET"]


async def test_the_deadline_holds(tmp_path):
    async with fabric(tmp_path) as region:
        await region.upstream("s", lambda exchange: None)
        started = time.monotonic()
        with pytest.raises(TimedOut, match=r"s did not answer GET /x within 0\.\d s"):
            await region.rpc.call("s", "GET", "/x", deadline_seconds=0.3)
        assert time.monotonic() - started < 2
        assert region.rpc.balancer.in_flight == 0


async def test_the_registry_speaks_to_services_only_and_checks_what_it_is_told(tmp_path):
    async with fabric(tmp_path) as region:
        origin = region.addresses[0]
        assert (await region.client.fetch(origin, "GET", PATH)).status == 401
        operator = seal(Identity("acc", "operator", "ses", region.clock.now() + 60), region.keys).encode()
        assert (await region.client.fetch(origin, "GET", PATH, ((HEADER.encode(), operator),))).status == 403
        badge = Badge("test-1", region.keys, region.clock).header()

        async def put(path, one):
            return (await region.client.fetch(origin, "PUT", PATH + path, (badge,), msgspec.json.encode(one))).status

        good = Instance("s", "s-1", "127.0.0.1:80", "home", "a", "0")
        assert await put("/s/s-1", good) == 204
        assert await put("/s/s-2", good) == 400
        assert await put("/s/s-1", msgspec.structs.replace(good, address="nowhere")) == 400
        assert await put("/s/s-1", {"service": "s"}) == 400
        assert await put("/s/s-1", msgspec.structs.replace(good, metadata={"x": "y" * 100_000})) == 413
        answer_ = await region.client.fetch(origin, "GET", PATH, (badge,))
        assert "s-1" in {one.instance for one in msgspec.json.decode(answer_.body, type=Registry).instances}
        again = await region.client.fetch(
            origin, "GET", PATH, (badge, (b"if-none-match", answer_.headers.get(b"etag")))
        )
        assert again.status == 304
