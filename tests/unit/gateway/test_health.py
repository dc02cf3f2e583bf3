"""/healthz: ready when every needed service has an instance that answers."""

import msgspec

from tests.support.fabric import fabric, until


async def test_it_names_what_is_missing_and_turns_ready(tmp_path):
    async with fabric(tmp_path, gateway=True, needed=("catalog", "playback")) as region:
        answer = await region.get("/healthz")
        assert answer.status == 503
        assert msgspec.json.decode(answer.body) == {"ready": False, "missing": ["catalog", "playback"]}
        catalog = await region.upstream("catalog", lambda exchange: exchange.reply(404))
        await region.upstream("playback", lambda exchange: exchange.reply(404), 1)
        dead = await region.upstream("playback", lambda exchange: exchange.reply(404), 2)
        await dead.kill()
        answer = await region.get("/healthz")
        while answer.status == 503:
            answer = await region.get("/healthz")
        assert msgspec.json.decode(answer.body) == {"ready": True, "missing": []}
        await catalog.stop()
        region.upstreams.remove(catalog)
        await until(lambda: not region.directory.instances("catalog"))
        while answer.status == 200:
            answer = await region.get("/healthz")
        assert msgspec.json.decode(answer.body)["missing"] == ["catalog"]
