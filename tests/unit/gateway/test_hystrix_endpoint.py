"""The stream that Hystrix dashboards read, through the gateway."""

import msgspec

from tests.support.fabric import bearer, fabric, until


async def frames(region, token, count):
    """Return the events of so many frames."""
    async with region.caller.stream(region.origin, "GET", "/hystrix.stream", (token,)) as answer:
        assert answer.status == 200
        assert answer.headers.get(b"content-type").startswith(b"text/event-stream")
        held = b""
        async for chunk in answer:
            held += chunk
            if held.count(b"ping: \n\n") >= count:
                break
    return [msgspec.json.decode(line[6:]) for line in held.split(b"\n") if line.startswith(b"data: ")]


async def test_operators_see_breakers_and_pools_of_every_instance(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        await region.upstream("catalog", lambda exchange: exchange.reply(200, (), b"home"))
        token = bearer(await region.token("operator"))
        for _ in range(3):
            assert (await region.get("/v1/home", token)).status == 200
        events = await frames(region, token, 2)
        command = next(one for one in events if (one["type"], one["name"]) == ("HystrixCommand", "catalog/catalog-1"))
        assert (command["requestCount"], command["isCircuitBreakerOpen"]) == (3, False)
        assert {one["type"] for one in events} == {"HystrixCommand", "HystrixThreadPool"}
        assert (await region.get("/hystrix.stream")).status == 401
        assert (await region.get("/hystrix.stream", bearer(await region.token("viewer")))).status == 403


async def test_a_sixth_dashboard_is_asked_to_come_later(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        token = bearer(await region.token("operator"))
        await region.get("/v1/gateway/filters", token)
        streams = [region.caller.stream(region.origin, "GET", "/hystrix.stream", (token,)) for _ in range(6)]
        statuses = [(await stream.__aenter__()).status for stream in streams]
        assert sorted(statuses) == [200] * 5 + [503]
        for stream in streams:
            await stream.__aexit__(None, None, None)
        await until(lambda: region.gateway._hystrix._stream.readers == 0)
