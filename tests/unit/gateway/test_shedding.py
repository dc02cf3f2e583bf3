"""Classes of requests at the gateway, and what it leaves out when there is too much."""

import asyncio
import functools

import pytest

from kinema.core.priority import Priority
from kinema.http import Client, ClientLimits, Headers
from kinema.services.gateway.reading import wished_priority
from tests.support.fabric import bearer, fabric, until


@pytest.mark.parametrize(
    ("field", "wished"),
    [
        ((b"x-kinema-priority", b"bulk"), Priority.BULK),
        ((b"x-kinema-priority", b"critical"), Priority.CRITICAL),
        ((b"x-kinema-priority", b"BULK"), None),
        ((b"x-kinema-priority", b"0"), None),
        ((b"sec-purpose", b"prefetch"), Priority.BEST_EFFORT),
        ((b"sec-purpose", b"prefetch;prerender"), Priority.BEST_EFFORT),
        ((b"purpose", b"prefetch"), Priority.BEST_EFFORT),
        ((b"sec-purpose", b"something"), None),
        ((b"accept", b"*/*"), None),
    ],
)
def test_what_a_sender_wishes(field, wished):
    assert wished_priority(Headers.of([field])) is wished


def test_of_two_wishes_the_lower_counts():
    both = Headers.of([(b"sec-purpose", b"prefetch"), (b"x-kinema-priority", b"bulk")])
    assert wished_priority(both) is Priority.BULK


async def test_a_service_hears_the_class_of_the_route_and_nobody_can_raise_it(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        heard = []

        def answer(exchange):
            heard.append(exchange.headers.get_all(b"x-kinema-priority"))
            exchange.reply(200, (), b"ok")

        for service in ("catalog", "playback", "encoding"):
            await region.upstream(service, answer)
        token = bearer(await region.token("operator"))
        critical, prefetch = (b"x-kinema-priority", b"critical"), (b"sec-purpose", b"prefetch")
        await region.get("/v1/plays", token, method="POST")
        await region.get("/v1/home", token)
        await region.get("/v1/home", token, critical)
        await region.get("/v1/plays", token, prefetch, method="POST")
        await region.get("/v1/gc", token, prefetch, method="POST")
        assert heard == [[b"critical"], [b"degraded"], [b"degraded"], [b"best_effort"], [b"bulk"]]


async def test_with_a_service_at_its_limit_what_matters_least_is_refused_before_it_is_sent(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        waiting = []
        service = await region.upstream("catalog", waiting.append)
        await region.upstream("playback", lambda exchange: exchange.reply(200, (), b"played"))
        token = bearer(await region.token("operator"))
        crowd = Client(ClientLimits(connections=300))
        send = functools.partial(crowd.fetch, region.origin, "GET", "/v1/home", (token,))
        requests = [asyncio.ensure_future(send()) for _ in range(258)]  # of the 300 it may have: 86 %
        await until(lambda: region.rpc.balancer.in_flight >= 258, 30)
        bulk = (b"x-kinema-priority", b"bulk")

        response = await region.get("/v1/titles", token, bulk)
        assert response.status == 503
        assert response.headers.get(b"x-kinema-shed") == b"1"
        assert 1 <= int(response.headers.get(b"retry-after")) <= 5
        assert b"try again in" in response.body
        assert (await region.get("/v1/manifests/x", token)).body == b"played"  # another service is not full
        seen = len(service.seen)
        assert (await region.get("/v1/home", token, (b"sec-purpose", b"prefetch"))).status == 503
        assert len(service.seen) == seen
        shed = region.gateway.shedding().shed
        assert (shed["critical"], shed["degraded"]) == (0, 0)
        assert shed["best_effort"] >= 1 <= shed["bulk"]
        while not all(one.done() for one in requests):
            for exchange in waiting:
                if not exchange.answered:
                    exchange.reply(200, (), b"home")
            await asyncio.sleep(0.01)
        assert {one.result().status for one in requests} == {200}
        await crowd.close()
