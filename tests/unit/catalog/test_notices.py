"""A new title is told to devices once: two catalog instances on one database, two gateways, a browser and a television."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import sqlalchemy as sa

from kinema.core.identity import HEADER, seal, service_identity
from kinema.model.catalog import Publication, RungFact
from kinema.model.discovery import Instance
from kinema.services.catalog.app import create_catalog
from kinema.services.catalog.tables import notices
from kinema.storage.engines import open_blobs, open_sql
from tests.support.fabric import RunningApp, until
from tests.support.services import Nobody, ShiftedClock, as_, running
from tests.unit.gateway.push_room import gateways, hear, stream, to_everybody

RUNG = RungFact("video-360p", 640, 360, "avc1.64001e", 400_000)


def ttl(number):
    return f"ttl_{number:026}"


def publication(number, version=1):
    return Publication(f"ast_{number:026}", version, 60.0, (RUNG,), complete=False, title=f"Film {number}")


class Catalogs:
    """Two instances of catalog in a region."""

    def __init__(self, region, sqls, blobs):
        self.region, self.sqls, self.blobs = region, sqls, blobs

    async def publish(self, number, version=1, instance=0):
        one = publication(number, version)
        await self.blobs.put(f"manifests/{one.asset}/{version}.json", b"{}")
        identity = service_identity("worker-1", self.region.clock.now())
        headers = ((HEADER.encode(), seal(identity, self.region.keys).encode()), (b"content-type", b"application/json"))
        address = self.region.directory.instances("catalog")[instance].address
        path = f"/v1/titles/{ttl(number)}/publication"
        answer = await self.region.caller.fetch(address, "PUT", path, headers, msgspec.json.encode(one))
        assert answer.status == 200, answer.body

    async def noted(self):
        async with self.sqls[0].read() as connection:
            return [row.title_id for row in await connection.execute(sa.select(notices))]


@asynccontextmanager
async def catalogs(region, path):
    blobs = open_blobs(path)
    async with AsyncExitStack() as stack:
        sqls = []
        for number in (1, 2):
            sql = open_sql(path, "", "catalog")
            stack.push_async_callback(sql.close)
            sqls.append(sql)
            app = RunningApp(
                create_catalog(
                    instance=f"catalog-{number}",
                    sql=sql,
                    blobs=blobs,
                    keys=region.keys,
                    clock=region.clock,
                    calls=region.rpc,
                )
            )
            stack.push_async_callback(app.stop)
            await until(lambda app=app: app.server.started, 20)
            one = Instance("catalog", f"catalog-{number}", app.address, "home", "a", "0")
            registration = region.registration(one)
            await registration.start()
            stack.push_async_callback(registration.close)
        await until(lambda: len(region.directory.instances("catalog")) == 2)
        yield Catalogs(region, sqls, blobs)


async def test_everybody_hears_of_a_new_title_once(tmp_path):
    async with gateways(tmp_path, 2) as (region, (one, two)), catalogs(region, tmp_path) as catalog:
        viewer, operator = await region.token(), await region.token("operator")
        async with one.socket(viewer) as television, stream(two, operator) as browser:

            async def next_title():
                while (block := await browser()).get(b"event") != b"title":
                    pass
                return msgspec.json.decode(block[b"data"])

            await asyncio.gather(*(catalog.publish(number, instance=number % 2) for number in (1, 2, 3)))
            expected = [{"title_id": ttl(number), "title": f"Film {number}"} for number in (1, 2, 3)]
            by_id = lambda data: data["title_id"]  # noqa: E731
            assert sorted([(await hear(television))["data"] for _ in expected], key=by_id) == expected
            assert sorted([await next_title() for _ in expected], key=by_id) == expected
            await until_none(catalog)
            # More rungs and other words about it are no news; the message behind them is the next that comes.
            await catalog.publish(1, version=2)
            await one.send(operator, to_everybody("note"))
            assert (await hear(television))["type"] == "note"
        assert one.push.snapshot().messages == two.push.snapshot().messages == 4


async def until_none(catalog):
    async with asyncio.timeout(20):
        while await catalog.noted():  # noqa: ASYNC110 -- it is a row of a database
            await asyncio.sleep(0.02)


async def test_a_notice_waits_until_somebody_takes_it_and_is_dropped_when_it_is_no_news(tmp_path):
    clock = ShiftedClock()
    async with gateways(tmp_path) as (region, (gateway,)):
        sql, blobs = open_sql(tmp_path, "", "catalog"), open_blobs(tmp_path)
        calls = Nobody()

        async def request(*args, **options):
            return await region.rpc.request(*args, **options)

        app = create_catalog(instance="catalog-1", sql=sql, blobs=blobs, keys=region.keys, clock=clock, calls=calls)
        async with running(app) as client, gateway.socket(await region.token()) as device:
            catalog = Catalogs(region, [sql], blobs)
            for number in (1, 2):
                one = publication(number)
                await blobs.put(f"manifests/{one.asset}/1.json", b"{}")
                body = msgspec.to_builtins(one)
                path = f"/v1/titles/{ttl(number)}/publication"
                answer = await client.put(path, headers=as_("service", region.keys, clock), json=body)
                assert answer.status_code == 200
                assert await catalog.noted() == [ttl(number)]
                if number == 1:
                    clock.shift += 3_700.0
                    await until_none(catalog)
            calls.request = request
            assert (await hear(device))["data"] == {"title_id": ttl(2), "title": "Film 2"}
            await until_none(catalog)
        await sql.close()
