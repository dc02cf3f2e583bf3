"""What operators set reaches every process: real registries, two configuration instances on one database, a gateway."""

import json
from contextlib import asynccontextmanager

import pytest

from kinema.core.clock import SystemClock
from kinema.core.log_level import LOG_LEVEL
from kinema.core.properties import Properties
from kinema.core.property_scope import Place
from kinema.model.discovery import Instance
from kinema.rpc.property_feed import PropertyFeed
from kinema.services.configuration.app import create_configuration
from kinema.storage.engines import open_sql
from tests.support.fabric import RunningApp, bearer, fabric, until

LEVEL = "/v1/properties/log.level"


class Process:
    """The properties of one process of the region, and everything that its log level has been."""

    def __init__(self, region, name, service="catalog", environment=None):
        self.properties = Properties(Place(name, (service,), (f"{service}-1",), "a", "home"), environment)
        self.heard = []
        self.properties.watch(LOG_LEVEL, self.heard.append)
        self.feed = PropertyFeed(self.properties, region.path, region.clock)
        self.region = region

    async def __aenter__(self):
        await self.feed.start(self.region.rpc)
        return self

    async def __aexit__(self, *_):
        await self.feed.close()


class Service:
    """One configuration instance on the region's database, registered."""

    def __init__(self, region, number):
        self.sql = open_sql(region.path, "", "configuration")
        name = f"configuration-{number}"
        app = create_configuration(
            instance=name,
            sql=self.sql,
            keys=region.keys,
            clock=region.clock,
            properties=Properties(),
            calls=region.rpc,
            directory=region.directory,
        )
        self.running = RunningApp(app)
        self.registration = region.registration(Instance("configuration", name, self.running.address, "home", "a", "0"))

    async def start(self):
        await self.registration.start()
        await self.registration.registered()
        return self

    async def stop(self):
        await self.registration.close()
        await self.running.stop()
        await self.sql.close()


@asynccontextmanager
async def configured(path, services=2):
    async with fabric(path, members=True, gateway=True) as region:
        region.services = [await Service(region, number + 1).start() for number in range(services)]
        region.operator = bearer(await region.token("operator"))
        await until(lambda: len(region.directory.instances("configuration")) == services)
        try:
            yield region
        finally:
            for one in region.services:
                await one.stop()


async def put(region, value, **body):
    answer = await region.get(LEVEL, region.operator, method="PUT", body=json.dumps({"value": value, **body}).encode())
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def test_a_change_through_the_gateway_reaches_every_process(tmp_path):
    async with (
        configured(tmp_path) as region,
        Process(region, "cell-1") as first,
        Process(region, "cell-2") as second,
        Process(region, "gateway-1", "gateway") as gateway,
    ):
        state = await put(region, "warning", reason="too much of it")
        assert state["overrides"][0]["set_by"] == "made by `kinema token`"
        await put(region, "debug", scope={"instance": "cell-2"})
        await until(lambda: (first.heard[-1], second.heard[-1], gateway.heard[-1]) == ("warning", "debug", "warning"))
        deleted = await region.get(LEVEL, region.operator, method="DELETE")
        assert deleted.status == 200
        await until(lambda: (first.heard[-1], second.heard[-1], gateway.heard[-1]) == ("info", "debug", "info"))


async def test_viewers_and_strangers_are_turned_away_at_the_front_door(tmp_path):
    async with configured(tmp_path, services=1) as region:
        viewer = bearer(await region.token("viewer"))
        assert (await region.get("/v1/properties")).status == 401
        assert (await region.get("/v1/properties", viewer)).status == 403
        assert (await region.get("/v1/internal/properties", region.operator)).status == 404
        assert (await region.get("/v1/properties", region.operator)).status == 200


async def test_one_instance_more_or_less_makes_no_difference(tmp_path):
    async with configured(tmp_path) as region, Process(region, "cell-1") as process:
        await put(region, "debug")
        await until(lambda: process.heard[-1] == "debug")
        await region.services.pop(0).stop()
        await put(region, "error")
        await until(lambda: process.heard[-1] == "error")


async def test_without_the_service_everybody_keeps_and_starts_with_what_was_last_known(tmp_path):
    async with configured(tmp_path, services=1) as region, Process(region, "cell-1") as process:
        await put(region, "debug", scope={"service": "catalog"})
        await until(lambda: process.heard[-1] == "debug")
        kept = tmp_path / "run" / "properties.json"
        await until(lambda: kept.exists() and b"debug" in kept.read_bytes())
        assert kept.stat().st_mode & 0o777 == 0o600
        await region.services.pop().stop()
        async with Process(region, "cell-2") as restarted, Process(region, "gateway-1", "gateway") as gateway:
            assert restarted.heard == ["info", "debug"]
            assert gateway.heard == ["info"]
            assert process.properties[LOG_LEVEL] == "debug"
        region.services.append(await Service(region, 3).start())
        await until(lambda: "configuration-3" in [one.instance for one in region.directory.instances("configuration")])
        await put(region, "error", scope={"service": "catalog"})
        await until(lambda: process.heard[-1] == "error")


@pytest.mark.parametrize("text", [b"", b"{", b'{"overrides": 5}', b"\xff", b'{"overrides": [{"name": "log.level"}]}'])
def test_what_was_kept_and_is_broken_is_left_out(tmp_path, text):
    kept = tmp_path / "run" / "properties.json"
    kept.parent.mkdir()
    kept.write_bytes(text)
    properties = Properties()
    PropertyFeed(properties, tmp_path, SystemClock())
    assert properties[LOG_LEVEL] == "info"


async def test_the_file_is_followed_beside_the_service(tmp_path):
    async with configured(tmp_path, services=1) as region, Process(region, "cell-1") as process:
        (tmp_path / "properties.toml").write_text('log.level = "warning"\n')
        await until(lambda: process.heard == ["info", "warning"])
        await put(region, "error", expires_in=1.5)
        await until(lambda: process.heard[2:] == ["error", "warning"])
