"""Limits that operators change while the gateway runs: the next request has them, what is under way keeps its own."""

import asyncio

from kinema.core.properties import Properties
from kinema.core.property_scope import Override
from kinema.services.gateway.limits import BODY_LIMIT, TIMEOUT
from tests.support.fabric import bearer, fabric, until


async def test_a_body_limit_holds_from_the_next_request_on(tmp_path):
    properties = Properties()
    async with fabric(tmp_path, members=True, gateway=True, properties=properties) as region:
        await region.upstream(
            "catalog", lambda exchange: exchange.read_body(lambda _: None, lambda: exchange.reply(200))
        )
        viewer = bearer(await region.token())

        async def send(path, count):
            return (await region.get(path, viewer, method="POST", body=b"x" * count)).status

        assert await send("/v1/home", 1000) == 200
        properties.replace_overrides([Override(BODY_LIMIT.name, 999)])
        assert await send("/v1/home", 1000) == 413
        assert await send("/v1/home", 999) == 200
        assert await send("/v1/titles", 1000) == 200  # has a limit of its own
        properties.replace_overrides([])
        assert await send("/v1/home", 1000) == 200


async def test_a_time_out_holds_from_the_next_request_on(tmp_path):
    properties = Properties()
    async with fabric(tmp_path, members=True, gateway=True, properties=properties) as region:
        held = []
        await region.upstream("catalog", held.append)
        viewer = bearer(await region.token())
        before = asyncio.create_task(region.get("/v1/home", viewer))
        await until(lambda: held)
        assert held[0].headers.get(b"x-kinema-deadline").startswith(b"30")
        properties.replace_overrides([Override(TIMEOUT.name, 0.2)])
        assert (await region.get("/v1/home", viewer)).status == 504
        held[0].reply(200)
        assert (await before).status == 200
