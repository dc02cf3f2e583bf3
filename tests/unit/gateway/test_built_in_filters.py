"""The built-in filters that an operator sets, in a real gateway before real services."""

import asyncio
import gzip

import brotli
import msgspec
import pytest
import zstandard

from kinema.core import faults
from kinema.http import Server
from kinema.rpc.service import open_socket
from kinema.services.gateway import create_gateway
from kinema.services.gateway.config import FILE, GatewayConfig, GatewayConfigBroken, read_config
from tests.support.fabric import bearer, fabric, until
from tests.support.servers import redis_server

TEXT = b"the same words again and again " * 200


def config(text):
    return msgspec.toml.decode(text, type=GatewayConfig)


def own_region(tmp_path, text, **options):
    return fabric(tmp_path, members=True, gateway=True, config=config(text), **options)


def answering(body=TEXT, *fields, status=200):
    return lambda exchange: exchange.reply(status, ((b"content-type", b"text/plain"), *fields), body)


# -- CORS -------------------------------------------------------------------------------------------------------------


async def test_pages_of_named_origins_may_use_the_api_and_no_others(tmp_path):
    text = '[cors]\norigins = ["https://app.example"]\ncredentials = true\nmax_age = 7\n'
    async with own_region(tmp_path, text) as region:
        catalog = await region.upstream("catalog", answering())
        token = bearer(await region.token())
        good, bad = (b"origin", b"https://app.example"), (b"origin", b"https://evil.example")
        wish = (b"access-control-request-method", b"PUT")
        preflight = await region.get("/v1/titles/x", good, wish, method="OPTIONS")
        assert preflight.status == 204
        assert preflight.headers.get(b"access-control-allow-origin") == good[1]
        assert preflight.headers.get(b"access-control-allow-credentials") == b"true"
        assert b"PUT" in preflight.headers.get(b"access-control-allow-methods")
        assert preflight.headers.get(b"access-control-max-age") == b"7"
        refused = await region.get("/v1/titles/x", bad, wish, method="OPTIONS")
        assert (refused.status, refused.headers.get(b"access-control-allow-origin")) == (401, None)
        assert catalog.seen == []
        response = await region.get("/v1/home", token, good)
        assert response.headers.get(b"access-control-allow-origin") == good[1]
        assert b"origin" in response.headers.get_all(b"vary")
        response = await region.get("/v1/home", token, bad)
        assert response.headers.get(b"access-control-allow-origin") is None
        assert b"origin" in response.headers.get_all(b"vary")
        refusal = await region.get("/v1/home", good)
        assert (refusal.status, refusal.headers.get(b"access-control-allow-origin")) == (401, good[1])
        cookie = (b"cookie", b"kinema_session=" + token[1][7:])
        for origin, status in ((good, 200), (bad, 403)):
            assert (await region.get("/v1/titles/x", cookie, origin, method="PUT")).status == status


async def test_without_configured_origins_nothing_is_shared(tmp_path):
    async with own_region(tmp_path, "") as region:
        await region.upstream("catalog", answering())
        response = await region.get("/v1/home", bearer(await region.token()), (b"origin", b"https://app.example"))
        assert response.headers.get(b"access-control-allow-origin") is None
    for text in ('[cors]\norigins = ["*"]\ncredentials = true\n', '[cors]\norigins = ["app.example"]\n'):
        with pytest.raises(msgspec.ValidationError):
            config(text)


# -- compression ------------------------------------------------------------------------------------------------------

UNPACK = {
    b"gzip": gzip.decompress,
    b"br": brotli.decompress,
    b"zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("query", ["", "long", "chunked"])
async def test_answers_are_compressed_as_the_client_likes_best(tmp_path, query):
    async with own_region(tmp_path, "") as region:
        body = TEXT * (30 if query else 1)

        def handle(exchange):
            fields = ((b"content-type", b"application/json"), (b"etag", b'"one"'), (b"accept-ranges", b"bytes"))
            if not query:
                exchange.reply(200, fields, body)
                return
            exchange.start(200, fields, len(body) if query == "long" else None)
            for at in range(0, len(body), 50_000):
                exchange.write(body[at : at + 50_000])
            exchange.finish()

        await region.upstream("catalog", handle)
        token = bearer(await region.token())
        for accept, coding in {
            b"gzip": b"gzip",
            b"gzip, deflate, br, zstd": b"zstd",
            b"gzip;q=1.0, br;q=0.5": b"gzip",
            b"*": b"zstd",
            b"*;q=0.5, br;q=0": b"zstd",
            b"identity, gzip;q=0.5": None,
            b"deflate": None,
            b"gzip;q=0": None,
            b"": None,
        }.items():
            response = await region.get(f"/v1/home?{query}", token, (b"accept-encoding", accept))
            assert response.headers.get(b"content-encoding") == coding, accept
            assert b"accept-encoding" in response.headers.get_all(b"vary")
            assert response.headers.get(b"etag") == (b'"one"' if coding is None else b'W/"one"')
            assert UNPACK.get(coding, bytes)(response.body) == body
            assert coding is None or len(response.body) < len(body) / 5


async def test_what_must_not_be_compressed_is_left_alone(tmp_path):
    async with own_region(tmp_path, "") as region:
        catalog = await region.upstream("catalog", None)
        token = bearer(await region.token())
        accept = (b"accept-encoding", b"gzip")
        cases = {
            "small": answering(b"small"),
            "picture": lambda exchange: exchange.reply(200, ((b"content-type", b"image/jpeg"),), TEXT),
            "events": lambda exchange: exchange.reply(200, ((b"content-type", b"text/event-stream"),), TEXT),
            "packed": answering(gzip.compress(TEXT * 50)[:3000], (b"content-encoding", b"gzip")),
            "range": answering(TEXT, (b"content-range", b"bytes 0-1/2"), status=206),
            "no-transform": answering(TEXT, (b"cache-control", b"public, no-transform")),
            "digest": answering(TEXT, (b"content-digest", b"sha-256=:x:")),
            "empty": lambda exchange: exchange.reply(204, ((b"content-type", b"text/plain"),)),
            "not modified": lambda exchange: exchange.reply(304, ((b"content-type", b"text/plain"), (b"etag", b'"a"'))),
        }
        for name, handler in cases.items():
            catalog.handler = handler
            response = await region.get("/v1/home", token, accept)
            assert response.headers.get(b"content-encoding") == (b"gzip" if name == "packed" else None), name
            assert response.headers.get(b"etag") in {None, b'"a"'}
        catalog.handler = answering(b"small")
        response = await region.get("/v1/home", token, (b"accept-encoding", b"gzip, identity;q=0"))
        assert gzip.decompress(response.body) == b"small"
        catalog.handler = lambda exchange: (
            exchange.start(200, ((b"content-type", b"text/plain"), (b"etag", b'"a"')), 5000),
            exchange.finish(),
        )
        response = await region.get("/v1/home", token, accept, method="HEAD")
        assert response.headers.get(b"content-length") == b"5000"
        assert b"accept-encoding" in response.headers.get_all(b"vary")
        catalog.handler = answering(b"")
        await region.get("/v1/titles/x", token, (b"if-match", b'W/"a", "b"'), method="PUT")
        assert catalog.seen[-1].headers.get(b"if-match") == b'"a", "b"'


async def test_a_compressed_answer_that_is_cut_does_not_look_whole(tmp_path):
    async with own_region(tmp_path, "") as region:

        def half(exchange):
            exchange.start(200, ((b"content-type", b"text/plain"),), None)
            exchange.write(TEXT * 20)
            asyncio.get_running_loop().call_later(0.1, exchange.abort)

        await region.upstream("catalog", half)
        token = bearer(await region.token())
        with pytest.raises(Exception, match="in the middle"):
            await region.get("/v1/home", token, (b"accept-encoding", b"gzip"))
        assert region.gateway.ledger.snapshot().cut == 1


# -- rate limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["address", "account"])
async def test_who_asks_too_often_is_told_when_to_come_back(tmp_path, who):
    async with own_region(tmp_path, f"[rate_limit]\n{who} = {{per_second = 0.1, burst = 3}}\n") as region:
        await region.upstream("catalog", answering())
        token = bearer(await region.token())
        answers = [await region.get("/v1/home", token) for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert f'"{who}";q=3;w=30'.encode() in answers[0].headers.get_all(b"ratelimit-policy")
        left = [next(line for line in one.headers.get_all(b"ratelimit") if who.encode() in line) for one in answers]
        assert [line.partition(b";r=")[2][:1] for line in left] == [b"2", b"1", b"0", b"0", b"0"]
        assert 1 <= int(answers[4].headers.get(b"retry-after")) <= 10
        assert answers[4].headers.get(b"content-type") == b"application/problem+json"
        if who == "account":
            assert (await region.get("/v1/home", bearer(await region.token()))).status == 200


async def test_gateways_count_together_in_redis_and_alone_without_it(tmp_path):
    with redis_server() as server:
        text = f'[rate_limit]\nredis_url = "{server.url}"\naccount = {{per_second = 0.01, burst = 4}}\n'
        async with own_region(tmp_path, text) as region:
            await region.upstream("catalog", answering())
            token = bearer(await region.token())
            assert [(await region.get("/v1/home", token)).status for _ in range(3)] == [200, 200, 200]
            other = create_gateway(
                rpc=region.rpc,
                keys=region.keys,
                clock=region.clock,
                ui_dir=None,
                upload_limit_bytes=1,
                config=config(text),
            )
            served = Server(other.handler)
            await served.start(open_socket("127.0.0.1"))
            where = f"127.0.0.1:{served.port}"
            answers = [await region.caller.fetch(where, "GET", "/v1/home", (token,)) for _ in range(2)]
            assert [answer.status for answer in answers] == [200, 429]
            server.kill()
            alone = [(await region.get("/v1/home", token)).status for _ in range(6)]
            assert (alone[0], alone[-1]) == (200, 429)
            await served.drain(1.0)
            await other.close()


# -- canary, sticky, shadow, faults -----------------------------------------------------------------------------------


async def versions(region, *versions):
    for number, version in enumerate(versions, 1):
        await region.upstream("catalog", answering(version.encode()), number, metadata={"track": version})


async def test_a_canary_gets_those_who_are_chosen_and_nobody_else(tmp_path):
    text = """
    [[canary]]
    prefix = "/v1/home"
    instances = {metadata = {track = "new"}}
    header = "x-try"
    cookie = "try=yes"
    """
    async with own_region(tmp_path, text) as region:
        await versions(region, "old", "new")
        token = bearer(await region.token())
        for fields, expected in {
            (): b"old",
            ((b"x-try", b"1"),): b"new",
            ((b"cookie", b"a=b; try=yes"),): b"new",
            ((b"cookie", b"try=no"),): b"old",
        }.items():
            assert {(await region.get("/v1/home", token, *fields)).body for _ in range(10)} == {expected}
        assert {(await region.get("/v1/titles", token)).body for _ in range(30)} == {b"old", b"new"}
        await region.upstreams[1].kill()
        assert (await region.get("/v1/home", token, (b"x-try", b"1"))).body == b"old"


async def test_a_percentage_of_the_people_is_always_the_same_people(tmp_path):
    text = '[[canary]]\nprefix = "/v1/home"\ninstances = {metadata = {track = "new"}}\npercent = 50\n'
    async with own_region(tmp_path, text) as region:
        await versions(region, "old", "new")
        seen = {}
        for _ in range(24):
            token = bearer(await region.token())
            seen[token] = {(await region.get("/v1/home", token)).body for _ in range(3)}
        assert all(len(bodies) == 1 for bodies in seen.values())
        assert {b"old", b"new"} == set.union(*seen.values())


async def test_a_sticky_key_goes_to_one_instance_until_that_is_gone(tmp_path):
    text = (
        '[[sticky]]\nprefix = "/v1/home"\nby = "header:X-Room"\n[[sticky]]\nprefix = "/v1/titles"\nby = "cookie:room"\n'
    )
    async with own_region(tmp_path, text) as region:
        await versions(region, "one", "two", "three")
        token = bearer(await region.token())
        own = {}
        for room in range(20):
            [own[room]] = {(await region.get("/v1/home", token, (b"x-room", b"%d" % room))).body for _ in range(4)}
        assert set(own.values()) == {b"one", b"two", b"three"}
        first = await region.get("/v1/titles", token)
        cookie = (b"cookie", first.headers.get(b"set-cookie").partition(b";")[0])
        assert {(await region.get("/v1/titles", token, cookie)).body for _ in range(8)} == {first.body}
        await region.upstreams[0].kill()
        for room, body in own.items():
            found = (await region.get("/v1/home", token, (b"x-room", b"%d" % room))).body
            assert found == body if body != b"one" else found in {b"two", b"three"}


async def test_copies_go_to_the_shadow_and_its_answers_to_nobody(tmp_path):
    text = '[[shadow]]\nprefix = "/v1/home"\npercent = 100\nservice = "playback"\n'
    async with own_region(tmp_path, text) as region:
        await region.upstream("catalog", answering(b"original"))
        shadow = await region.upstream("playback", lambda exchange: None)  # it never answers, and nobody minds
        token = bearer(await region.token())
        assert [(await region.get("/v1/home?a=1", token)).body for _ in range(3)] == [b"original"] * 3
        await region.get("/v1/home", token, method="POST", body=b"{}")
        await until(lambda: len(shadow.seen) == 3)
        [copy] = {(one.method, one.target, one.headers.get(b"x-kinema-shadow")) for one in shadow.seen}
        assert copy == ("GET", "/v1/home?a=1", b"1")
        assert (await region.get("/v1/titles", token)).body == b"original"
        await asyncio.sleep(0)
        assert len(shadow.seen) == 3


async def test_faults_are_sent_sealed_to_the_requests_that_a_rule_means(tmp_path):
    text = """
    [[fault]]
    prefix = "/v1/home"
    header = "x-test-fault"
    faults = [{point = "rpc/*", delay = 2.0}]
    """
    async with own_region(tmp_path, text) as region:
        catalog = await region.upstream("catalog", answering())
        token = bearer(await region.token())
        await region.get("/v1/home", token)
        await region.get("/v1/home", token, (b"x-test-fault", b"1"), (b"x-kinema-fault", b"forged"))
        plain, hit = (one.headers.get_all(b"x-kinema-fault") for one in catalog.seen)
        assert plain == []
        carried = faults.unseal(hit[0].decode(), region.keys, region.clock.now())
        assert (len(hit), carried.faults[0].delay) == (1, 2.0)


# -- passport and configuration ---------------------------------------------------------------------------------------


async def test_an_operator_sees_what_happened_when(tmp_path):
    async with own_region(tmp_path, "") as region:
        await region.upstream("catalog", answering())
        asked = (b"x-kinema-passport", b"1")
        operator = bearer(await region.token("operator"))
        response = await region.get("/v1/home", operator, asked)
        for _ in range(3):
            assert b"forwarded" in (await region.get("/v1/home", operator, asked)).headers.get(b"x-kinema-passport")
        timeline = response.headers.get(b"x-kinema-passport").decode()
        steps = [step.partition(";")[0] for step in timeline.split(", ")]
        expected = ["forwarded", "authentication", "identity", "picked-catalog-1", "first-byte", "head"]
        assert [step for step in steps if step in expected] == expected
        times = [float(step.partition("at=")[2]) for step in timeline.split(", ")]
        assert times == sorted(times)
        viewer = bearer(await region.token("viewer"))
        assert (await region.get("/v1/home", viewer, asked)).headers.get(b"x-kinema-passport") is None
        assert (await region.get("/v1/home", operator)).headers.get(b"x-kinema-passport") is None


async def test_the_configuration_is_read_again_and_a_broken_one_changes_nothing(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True, data_dir=tmp_path) as region:
        await region.upstream("catalog", answering())
        token = bearer(await region.token())
        path = tmp_path / FILE

        async def limit():
            await region.gateway.reloading.look()
            return (await region.get("/v1/home", token)).headers.get_all(b"ratelimit-policy")

        assert b'"account";q=2000;w=2' in await limit()
        path.write_text("[rate_limit]\naccount = {per_second = 5, burst = 10}\n")
        assert b'"account";q=10;w=2' in await limit()
        for text in (
            "[rate_limit\n",
            "[rate_limits]\n",
            "[rate_limit]\naccount = {burst = 0}\n",
            '[[canary]]\nprefix = "/x"\n',
        ):
            path.write_text(text)
            assert b'"account";q=10;w=2' in await limit(), text
            assert str(path) in region.gateway.reloading.report().problem
        path.write_text('[[canary]]\nprefix = "/v1/nowhere"\ninstances = {version = "2"}\n')
        assert b'"account";q=10;w=2' in await limit()
        assert "/v1/nowhere" in region.gateway.reloading.report().problem
        path.unlink()
        assert b'"account";q=2000;w=2' in await limit()
        assert region.gateway.reloading.report().problem == ""


def test_a_configuration_that_is_no_text_is_refused_with_its_path(tmp_path):
    path = tmp_path / FILE
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(GatewayConfigBroken, match=FILE):
        read_config(path)
