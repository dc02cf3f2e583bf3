"""Messages to devices, through two gateways that know each other."""

import asyncio
import time

import msgspec
import pytest

from kinema.core.identity import Identity, service_identity
from kinema.core.properties import Properties
from kinema.services.gateway.push_delivery import is_address
from tests.support.fabric import bearer, until
from tests.unit.gateway.push_room import gateways, hear, stream, to_everybody


async def who(gateway, token):
    return msgspec.json.decode((await gateway.get("/v1/session", bearer(token))).body)["account"]


async def test_a_message_reaches_every_device_whichever_gateway_holds_it_and_takes_it(tmp_path):
    async with gateways(tmp_path, 2) as (region, (one, two)):
        viewer, operator = await region.token(), await region.token("operator")
        async with (
            one.socket(viewer, "first-device") as first,
            two.socket(viewer, "second-device") as second,
            stream(two, viewer) as browser,
        ):
            await browser()
            for gateway in (one, two):
                status, report = await gateway.send(operator, to_everybody(data={"from": gateway.name}))
                assert status == 200
                assert (report["devices"], report["gateways"], report["unreached"]) == (3, 2, 0)
                expected = {"id": report["message_id"], "type": "title", "data": {"from": gateway.name}}
                assert await hear(first) == expected
                assert await hear(second) == expected
                assert await browser() == {
                    b"id": report["message_id"].encode(),
                    b"event": b"title",
                    b"data": msgspec.json.encode(expected["data"]),
                }


async def test_a_message_goes_to_an_account_a_device_or_a_role_and_to_nobody_else(tmp_path):
    async with gateways(tmp_path, 2) as (region, (one, two)):
        viewer, other, operator = await region.token(), await region.token(), await region.token("operator")
        async with (
            one.socket(viewer, "tv-in-the-kitchen") as kitchen,
            two.socket(viewer, "tv-in-the-attic") as attic,
            one.socket(other, "tv-in-the-kitchen") as elsewhere,
            two.socket(operator, "the-console") as console,
        ):
            account = await who(one, viewer)
            kitchen_only = {"kind": "device", "account": account, "device": "tv-in-the-kitchen"}
            for target, hearers in (
                ({"kind": "account", "account": account}, (kitchen, attic)),
                (kitchen_only, (kitchen,)),
                ({"kind": "role", "role": "operator"}, (console,)),
                ({"kind": "role", "role": "viewer"}, (kitchen, attic, elsewhere)),
                ({"kind": "account", "account": "nobody"}, ()),
                ({"kind": "everybody"}, (kitchen, attic, elsewhere, console)),
            ):
                _, report = await one.send(operator, {"to": target, "type": "note"})
                assert report["devices"] == len(hearers), target
                for device in hearers:
                    assert (await hear(device))["id"] == report["message_id"], target


async def test_only_operators_and_services_may_send(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        message = msgspec.json.encode(to_everybody())
        assert (await gateway.get("/v1/push/messages", method="POST", body=message)).status == 401
        assert (await gateway.send(await region.token(), to_everybody()))[0] == 403
        assert (await gateway.get("/v1/internal/push/messages", method="POST", body=message)).status == 404
        now = region.clock.now()
        for role, path, status in (
            ("service", "/v1/push/messages", 200),
            ("operator", "/v1/push/messages", 200),
            ("viewer", "/v1/push/messages", 403),
            ("operator", "/v1/internal/push/messages", 403),
            ("service", "/v1/push", 404),
        ):
            identity = Identity("someone", role, "", now + 60)
            assert (await gateway.inside(path, to_everybody(), identity=identity)).status == status, (role, path)
        expired = service_identity("catalog-1", now - 100)
        assert (await gateway.inside("/v1/push/messages", to_everybody(), identity=expired)).status == 401
        answer = await region.caller.fetch(gateway.private_origin, "POST", "/v1/push/messages", (), message)
        assert answer.status == 401
        forged = ((b"x-kinema-identity", b"a.b.c"),)
        answer = await region.caller.fetch(gateway.private_origin, "POST", "/v1/push/messages", forged, message)
        assert answer.status == 401
        # On the public port a sealed identity counts for nothing.
        assert (await gateway.get("/v1/push/messages", *forged, method="POST", body=message)).status == 401
        assert (await region.rpc.request("push", "POST", "/v1/push/messages", message)).status == 200


BAD = {
    "no JSON": b"{",
    "no UTF-8": b'{"type": "\xff"}',
    "a list": b"[]",
    "no target": b'{"type": "a"}',
    "an unknown kind": b'{"to": {"kind": "x"}, "type": "a"}',
    "too many words": b'{"to": {"kind": "everybody", "role": "viewer"}, "type": "a"}',
    "a type with a line break": b'{"to": {"kind": "everybody"}, "type": "a\\nb"}',
    "the region's own type": b'{"to": {"kind": "everybody"}, "type": "catalog"}',
    "no type": b'{"to": {"kind": "everybody"}}',
    "a field too many": b'{"to": {"kind": "everybody"}, "type": "a", "extra": 1}',
    "a negative time": b'{"to": {"kind": "everybody"}, "type": "a", "seconds_to_live": -1}',
    "an endless time": b'{"to": {"kind": "everybody"}, "type": "a", "seconds_to_live": 1e9}',
    "a blank collapse key": b'{"to": {"kind": "everybody"}, "type": "a", "collapse_key": " "}',
    "a device without account": b'{"to": {"kind": "device", "device": "living-room"}, "type": "a"}',
    "broken data": b'{"to": {"kind": "everybody"}, "type": "a", "data": {"a": }}',
    "data nested without end": b'{"to": {"kind": "everybody"}, "type": "a", "data": '
    + b"[" * 2_000
    + b"]" * 2_000
    + b"}",
    "data that is no UTF-8": b'{"to": {"kind": "everybody"}, "type": "a", "data": "\xff"}',
}


async def test_what_is_no_message_is_refused_with_a_sentence(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = bearer(await region.token("operator"))

        async def post(body, *headers):
            return await gateway.get("/v1/push/messages", token, *headers, method="POST", body=body)

        for name, body in BAD.items():
            answer = await post(body)
            assert answer.status == 400, name
            assert msgspec.json.decode(answer.body)["detail"].endswith((".", "md.")), name
        large = msgspec.json.encode(to_everybody(data="x" * 4_095))
        assert (await post(large)).status == 413
        assert (await post(b" " * 20_000)).status == 413
        assert (await post(msgspec.json.encode(to_everybody(data="x" * 4_094)))).status == 200
        assert (await post(msgspec.json.encode(to_everybody()), (b"idempotency-key", b"x" * 129))).status == 400
        assert (await gateway.get("/v1/push/messages", token)).status == 404
        assert (await gateway.get("/v1/push/else", token)).status == 404


async def test_line_breaks_in_data_do_not_break_the_stream(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token = await region.token("operator")
        async with stream(gateway, token) as browser:
            await browser()
            pretty = b'{"to": {"kind": "everybody"}, "type": "note", "data": {\r\n  "a":\n [1,\n2],\n "b": "x\\n\\nid: evil"}}'
            await gateway.get("/v1/push/messages", bearer(token), method="POST", body=pretty)
            said = await browser()
            assert msgspec.json.decode(said[b"data"]) == {"a": [1, 2], "b": "x\n\nid: evil"}


async def test_a_message_sent_twice_under_one_key_arrives_once_whichever_gateways_take_it(tmp_path):
    async with gateways(tmp_path, 2) as (region, (one, two)):
        operator = await region.token("operator")
        key = (b"idempotency-key", b"title:ttl_1")
        async with one.socket(await region.token()) as device:
            first = await one.send(operator, to_everybody(data={"n": 1}), key)
            again = await two.send(operator, to_everybody(data={"n": 1}), key)
            assert first == again
            assert first[1]["devices"] == 1
            status, refused = await two.send(operator, to_everybody(data={"n": 2}), key)
            assert (status, refused["type"]) == (409, "urn:kinema:problem:conflict")
            other = await one.send(operator, to_everybody(data={"n": 2}), (b"idempotency-key", b"title:ttl_2"))
            assert (await hear(device))["data"] == {"n": 1}
            assert (await hear(device))["id"] == other[1]["message_id"]
        assert one.push.snapshot().repeated == 1


async def test_the_answer_says_which_gateways_could_not_be_reached(tmp_path):
    async with gateways(tmp_path, 2) as (region, (one, two)):
        await two.private.drain(0)
        status, report = await one.send(await region.token("operator"), to_everybody())
        assert (status, report["gateways"], report["unreached"]) == (200, 1, 1)


# -- coming back ---------------------------------------------------------------------------------------------------------


async def test_a_device_that_comes_back_gets_what_it_missed_on_any_gateway(tmp_path):
    async with gateways(tmp_path, 2) as (region, (one, two)):
        viewer, operator = await region.token(), await region.token("operator")
        async with one.socket(viewer) as device:
            mark = (await hear(device, own=True))["data"]["after"]
            _, had = await one.send(operator, to_everybody(seconds_to_live=60, data="had"))
            assert (await hear(device))["id"] == had["message_id"]
        await until(lambda: len(one.push.registry) == 0)
        await one.send(operator, to_everybody(data="for those who are here"))
        await one.send(operator, to_everybody(seconds_to_live=60, collapse_key="k", data="older"))
        _, missed = await two.send(operator, to_everybody(seconds_to_live=60, collapse_key="k", data="newer"))
        assert missed["devices"] == 0
        async with two.socket(viewer, after=had["message_id"]) as device:
            assert (await hear(device))["data"] == "newer"
        for after, expected in ((mark, "had"), ("0", "had")):
            async with two.socket(viewer, after=after) as device:
                assert (await hear(device))["data"] == expected
                assert (await hear(device))["data"] == "newer"
        async with stream(two, viewer, "", (b"last-event-id", had["message_id"].encode())) as browser:
            await browser()  # retry
            assert (await browser())[b"data"] == b'"newer"'
        async with two.socket(viewer) as device:  # it says nothing of what it had
            await one.send(operator, to_everybody(data="now"))
            assert (await hear(device))["data"] == "now"


async def test_a_stream_gives_its_browser_a_mark_and_a_time_to_come_back_of_its_own(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        viewer = await region.token()
        times = set()
        for _ in range(6):
            async with stream(gateway, viewer) as browser:
                first = await browser()
                times.add(int(first[b"retry"]))
                assert first[b"id"].startswith(b"msg_")
        assert len(times) > 2
        assert all(500 <= one <= 2_000 for one in times)
        for bad in ("?device=x", "?after=yesterday", "?after"):
            assert (await gateway.get(f"/v1/events{bad}", bearer(viewer))).status == 400
        async with stream(gateway, viewer, "", (b"last-event-id", b"of another server")) as browser:
            assert b"id" in await browser()


# -- moving ------------------------------------------------------------------------------------------------------------


async def test_browsers_are_sent_only_where_the_operator_allows(tmp_path):
    properties = Properties()
    properties.replace_file({"gateway.move_addresses": ["https://eu.example.org"]})
    async with gateways(tmp_path, properties=properties) as (region, (gateway,)):
        operator, viewer = await region.token("operator"), await region.token()
        for data in ({"address": "https://evil.example"}, {"address": 5}, {}, "https://eu.example.org"):
            assert (await gateway.send(operator, to_everybody("move", data=data)))[0] == 400
        async with gateway.socket(viewer) as device:
            move = {"address": "https://eu.example.org", "within_seconds": 60}
            assert (await gateway.send(operator, to_everybody("move", data=move)))[0] == 200
            assert (await hear(device))["data"] == move
        answer = await gateway.get("/v1/push/addresses", bearer(viewer))
        assert msgspec.json.decode(answer.body) == {"addresses": ["https://eu.example.org"]}
        properties.replace_file({"gateway.move_addresses": []})
        assert (await gateway.send(operator, to_everybody("move", data=move)))[0] == 400


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("https://eu.example.org", True), ("http://10.0.0.1:8080", True), ("https://[::1]:8080", True),
        ("https://eu.example.org/", False), ("javascript:alert(1)", False), ("//eu.example.org", False),
        ("ftp://eu.example.org", False), ("https://", False), ("https://a/b?c#d", False), ("https://[::1", False), ("", False),
    ],
)  # fmt: skip
def test_an_address_is_a_scheme_and_a_host(text, good):
    assert is_address(text) == good


async def test_sending_to_a_thousand_devices_keeps_the_gateway_answering(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        gateway.push.registry.limits = msgspec.structs.replace(
            gateway.push.registry.limits, per_session=10_000, per_account=10_000
        )
        viewer, operator = await region.token(), await region.token("operator")
        devices = [await gateway.socket(viewer, f"device-{n:08}").__aenter__() for n in range(300)]
        before = time.perf_counter()
        for n in range(5):
            _, report = await gateway.send(operator, to_everybody(data={"n": n}))
            assert report["devices"] == 300
        assert time.perf_counter() - before < 30
        heard = await asyncio.gather(*(hear(device) for device in devices))
        assert {said["data"]["n"] for said in heard} == {0}
        await asyncio.gather(*(device.close() for device in devices))


async def test_what_push_holds_and_has_done_is_shown_as_metrics(tmp_path):
    async with gateways(tmp_path) as (region, (gateway,)):
        token, key = await region.token("operator"), (b"idempotency-key", b"k")
        async with gateway.socket(token), stream(gateway, token):
            for _ in range(2):
                await gateway.send(token, to_everybody(), key)
            found = {(one.name, *one.labels): one.value for one in region.rpc.metrics.samples()}
        assert found["kinema_push_connections", "sse"] == found["kinema_push_connections", "websocket"] == 1
        assert found["kinema_push_messages_total", "taken"] == found["kinema_push_messages_total", "repeated"] == 1
        assert found["kinema_push_deliveries_total",] == 2
        assert found["kinema_websocket_tunnels",] == 0
