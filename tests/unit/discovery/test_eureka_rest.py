"""Eureka's contract request by request, in both languages, on the app itself."""

import asyncio
import base64
import gzip
import json
from collections import Counter
from urllib.parse import quote
from xml.etree import ElementTree as ET

import msgspec
import pytest

from kinema.core.clock import ManualClock
from kinema.core.keys import KeyRing
from kinema.model.discovery import Registry, RegistryState
from kinema.services.discovery import create_discovery
from tests.support.services import as_, running
from tests.support.virtual_time import settle
from tests.unit.discovery.registrants import ours

HERE = "http://127.0.0.1:8761"
ELSEWHERE = "http://192.0.2.7:8761"


def instance(app="ORDERS", instance_id="host:orders:8080", **said):
    """What the examples of Eureka's documentation register."""
    return {
        "instanceId": instance_id,
        "hostName": "orders.example",
        "app": app,
        "ipAddr": "10.0.0.1",
        "vipAddress": "orders",
        "secureVipAddress": "orders-secure",
        "status": "UP",
        "port": {"$": 8080, "@enabled": "true"},
        "securePort": {"$": "8443", "@enabled": "false"},
        "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
        "metadata": {"zone": "a", "weight": 3},
        "lastDirtyTimestamp": "1700000000000",
        **said,
    }


class Caller:
    """Calls one registry."""

    def __init__(self, http, keys, clock):
        self.http, self.keys, self.clock = http, keys, clock

    async def __call__(self, method, path, body=None, *, base=HERE, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body
        if isinstance(body, dict):
            content = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        return await self.http.request(method, f"{base}{path}", content=content, headers=headers)

    async def register(self, prefix="/eureka/v2", **said):
        one = instance(**said)
        return await self("POST", f"{prefix}/apps/{one['app']}", {"instance": one})

    async def applications(self, path="/eureka/v2/apps"):
        answer = await self("GET", path, accept="application/json")
        assert answer.status_code == 200
        return answer.json()["applications"]

    def as_role(self, role):
        return as_(role, self.keys, self.clock)


@pytest.fixture
async def call(tmp_path):
    keys, clock = KeyRing(tmp_path), ManualClock()
    async with running(create_discovery(instance="discovery-1", keys=keys, clock=clock)) as http:
        yield Caller(http, keys, clock)


ID = "/eureka/v2/apps/ORDERS/host%3Aorders%3A8080"


# -- registering ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/eureka/v2", "/eureka"])
async def test_registering_answers_204_and_nothing_else(call, prefix):
    answer = await call.register(prefix)
    assert (answer.status_code, answer.content) == (204, b"")


async def test_registering_in_xml(call):
    body = """<?xml version="1.0" encoding="UTF-8"?>
    <instance>
      <instanceId>x</instanceId><hostName>h</hostName><app>orders</app><ipAddr>10.0.0.1</ipAddr><status>UP</status>
      <port enabled="true">8080</port><securePort enabled="false">7002</securePort>
      <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
      <metadata><management__port>9</management__port></metadata>
      <futureField><with><elements>inside</elements></with></futureField><another>1</another>
    </instance>"""
    answer = await call("POST", "/eureka/v2/apps/orders", body.encode(), content_type="application/xml")
    assert answer.status_code == 204
    shown = await call("GET", "/eureka/v2/apps/ORDERS/x", accept="application/json")
    assert shown.json()["instance"]["metadata"] == {"management_port": "9"}
    assert shown.json()["instance"]["port"] == {"$": 8080, "@enabled": "true"}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("hostName", "Missing"),
        ("ipAddr", "Missing ip address"),
        ("app", "Missing appName"),
        ("dataCenterInfo", "Missing dataCenterInfo"),
    ],
)
async def test_a_missing_field_is_named(call, field, words):
    one = instance(instanceId="x")
    del one[field]
    answer = await call("POST", "/eureka/v2/apps/ORDERS", {"instance": one})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


async def test_the_application_of_path_and_body_must_agree(call):
    answer = await call("POST", "/eureka/v2/apps/OTHER", {"instance": instance()})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "Mismatched appName, expecting OTHER but was ORDERS."


async def test_an_id_may_have_anything_in_it(call):
    for number, instance_id in enumerate(("a/b c", "%41", "ü?#&", "status")):
        await call.register(instanceId=instance_id, app="ODD", port={"$": 8080.0})
        path = f"/eureka/v2/apps/ODD/{quote(instance_id, safe='')}"
        assert (await call("PUT", f"{path}?status=UP")).status_code == 200, instance_id
        assert (await call("PUT", f"{path}/status?value=DOWN")).status_code == 200
        assert (await call.applications())["apps__hashcode"] == f"DOWN_{number + 1}_"


async def test_without_an_instance_id_the_host_is_the_id(call):
    one = instance()
    del one["instanceId"]
    assert (await call("POST", "/eureka/v2/apps/orders", {"instance": one})).status_code == 204
    assert (await call("PUT", "/eureka/v2/apps/ORDERS/orders.example")).status_code == 200


# -- what is shown -------------------------------------------------------------------------------------------------------


async def test_json_has_the_oddities_that_clients_expect(call):
    await call.register()
    (application,) = (await call.applications())["application"]
    (shown,) = application["instance"]
    now = int(call.clock.now() * 1000)
    assert application["name"] == "ORDERS"
    assert shown == {
        "instanceId": "host:orders:8080",
        "hostName": "orders.example",
        "app": "ORDERS",
        "ipAddr": "10.0.0.1",
        "status": "UP",
        "overriddenStatus": "UNKNOWN",
        "port": {"$": 8080, "@enabled": "true"},
        "securePort": {"$": 8443, "@enabled": "false"},
        "countryId": 1,
        "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
        "leaseInfo": {
            "renewalIntervalInSecs": 30,
            "durationInSecs": 90,
            "registrationTimestamp": now,
            "lastRenewalTimestamp": now,
            "evictionTimestamp": 0,
            "serviceUpTimestamp": now,
        },
        "metadata": {"zone": "a", "weight": "3"},
        "vipAddress": "orders",
        "secureVipAddress": "orders-secure",
        "isCoordinatingDiscoveryServer": "false",
        "lastUpdatedTimestamp": str(now),
        "lastDirtyTimestamp": "1700000000000",
        "actionType": "ADDED",
    }


async def test_xml_is_what_one_gets_unless_one_accepts_json(call):
    await call.register(metadata={})
    for accept in ("application/xml", "*/*", "text/html, */*;q=0.8"):
        answer = await call("GET", "/eureka/v2/apps", accept=accept)
        assert answer.headers["content-type"] == "application/xml"
    root = ET.fromstring(answer.content)
    assert root.findtext("versions__delta") == "1"
    assert root.findtext("apps__hashcode") == "UP_1_"
    shown = root.find("application/instance")
    assert shown.findtext("instanceId") == "host:orders:8080"
    assert (shown.find("port").text, shown.find("port").attrib) == ("8080", {"enabled": "true"})
    assert shown.find("metadata").attrib == {"class": "java.util.Collections$EmptyMap"}
    assert shown.find("dataCenterInfo").attrib["class"].endswith("$DefaultDataCenterInfo")


async def test_amazon_has_a_class_and_metadata_of_its_own(call):
    info = {
        "@class": "com.netflix.appinfo.AmazonInfo",
        "name": "Amazon",
        "metadata": {"instance-id": "i-1", "availability-zone": "us-east-1c", "ami-id": "ami-1"},
    }
    one = instance(dataCenterInfo=info)
    del one["instanceId"]
    await call("POST", "/eureka/v2/apps/ORDERS", {"instance": one})
    answer = await call("GET", "/eureka/v2/instances/i-1", accept="application/json")
    assert answer.json()["instance"]["dataCenterInfo"] == info
    compact = await call("GET", "/eureka/v2/apps", accept="application/json", x_eureka_accept="compact")
    (shown,) = compact.json()["applications"]["application"][0]["instance"]
    assert shown["dataCenterInfo"]["metadata"] == {"instance-id": "i-1", "availability-zone": "us-east-1c"}
    assert "leaseInfo" not in shown


async def test_every_way_to_look_something_up(call):
    await call.register()
    await call.register(instanceId="second", status="DOWN", vipAddress="orders,orders-v2")
    for path, ids in (
        ("/eureka/v2/apps/", {"host:orders:8080", "second"}),
        ("/eureka/apps", {"host:orders:8080", "second"}),
        ("/eureka/v2/vips/orders", {"host:orders:8080", "second"}),
        ("/eureka/v2/vips/orders-v2", {"second"}),
        ("/eureka/v2/svips/orders-secure", {"host:orders:8080", "second"}),
        ("/eureka/v2/apps/delta", {"host:orders:8080", "second"}),
    ):
        found = (await call.applications(path))["application"]
        assert {one["instanceId"] for application in found for one in application["instance"]} == ids
    one = await call("GET", "/eureka/v2/apps/orders", accept="application/json")
    assert len(one.json()["application"]["instance"]) == 2
    assert (await call.applications("/eureka/v2/vips/orders-v2"))["apps__hashcode"] == "DOWN_1_"
    assert (await call.applications())["apps__hashcode"] == "DOWN_1_UP_1_"
    for path in ("apps/NONE", "apps/ORDERS/none", "instances/none", "vips/none", "svips/none", "none", ""):
        assert (await call("GET", f"/eureka/v2/{path}")).status_code == 404


async def test_a_large_list_comes_compressed_to_who_takes_it_so(call):
    for number in range(300):
        await call.register(instanceId=f"i-{number}")
    plain = await call("GET", "/eureka/v2/apps", accept_encoding="identity")
    packed = await call("GET", "/eureka/v2/apps", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 5
    assert packed.content == plain.content


async def test_a_list_agrees_with_its_own_digest_while_everything_changes(call):
    for number in range(500):
        await call.register(instanceId=f"i-{number}")

    async def look(path):
        for _ in range(5):
            found = await call.applications(path)
            statuses = Counter(one["status"] for app in found["application"] for one in app["instance"])
            assert found["apps__hashcode"] == "".join(f"{name}_{count}_" for name, count in sorted(statuses.items()))

    async def change():
        for number in range(60):
            await call("PUT", f"/eureka/v2/apps/ORDERS/i-{number}/status?value=DOWN")

    await asyncio.gather(
        look("/eureka/v2/apps"), look("/eureka/v2/apps/delta"), look("/eureka/v2/vips/orders"), change()
    )


# -- heartbeats ----------------------------------------------------------------------------------------------------------


async def test_a_heartbeat_of_somebody_unknown_makes_it_register(call):
    assert (await call("PUT", ID)).status_code == 404
    await call.register()
    assert (await call("PUT", ID)).status_code == 200
    assert (await call("PUT", f"{ID}?status=UP&lastDirtyTimestamp=1700000000000")).status_code == 200


async def test_what_the_timestamps_of_heartbeats_lead_to(call):
    await call.register()
    newer = f"{ID}?status=UP&lastDirtyTimestamp=1700000000001"
    older = f"{ID}?status=UP&lastDirtyTimestamp=1699999999999"
    assert (await call("PUT", newer)).status_code == 404
    assert (await call("PUT", older)).status_code == 200
    conflict = await call("PUT", older, x_netflix_discovery_replication="true", accept="application/json")
    assert conflict.status_code == 409
    assert conflict.json()["instance"]["lastDirtyTimestamp"] == "1700000000000"


@pytest.mark.parametrize("timestamp", ["yesterday", "-1", "1.5", "99999999999999999999", "9" * 5000, "1800000000000"])
async def test_a_wrong_timestamp_is_refused_and_the_lease_stays(call, timestamp):
    await call.register()
    assert (await call("PUT", f"{ID}?lastDirtyTimestamp={timestamp}")).status_code == 400
    assert (await call.register(lastDirtyTimestamp=timestamp)).status_code == 400
    assert (await call("PUT", ID)).status_code == 200


async def test_a_lease_ends_by_the_clock(call):
    await call.register()
    for _ in range(200):
        call.clock.advance(0.5)
        await settle()
    assert (await call("PUT", ID)).status_code == 404
    assert (await call.applications())["application"] == []
    (application,) = (await call.applications("/eureka/v2/apps/delta"))["application"]
    assert application["instance"][0]["actionType"] == "DELETED"


async def test_cancelling(call):
    await call.register()
    assert (await call("DELETE", ID)).status_code == 200
    assert (await call("DELETE", ID)).status_code == 404
    assert (await call("PUT", ID)).status_code == 404


# -- status and metadata ---------------------------------------------------------------------------------------------------


async def test_overriding_a_status_and_ending_that(call):
    await call.register()
    assert (await call("PUT", f"{ID}/status?value=OUT_OF_SERVICE")).status_code == 200
    assert (await call.applications())["apps__hashcode"] == "OUT_OF_SERVICE_1_"
    assert (await call("PUT", ID)).status_code == 200
    await call.register()
    assert (await call.applications())["apps__hashcode"] == "OUT_OF_SERVICE_1_"
    assert (await call("DELETE", f"{ID}/status?value=UP")).status_code == 200
    assert (await call.applications())["apps__hashcode"] == "UP_1_"
    await call("PUT", f"{ID}/status?value=OUT_OF_SERVICE")
    assert (await call("DELETE", f"{ID}/status")).status_code == 200
    assert (await call("PUT", ID)).status_code == 404
    await call.register()
    assert (await call.applications())["apps__hashcode"] == "UP_1_"


async def test_a_status_that_is_none(call):
    await call.register()
    assert (await call("PUT", f"{ID}/status?value=SLEEPY")).status_code == 400
    assert (await call("PUT", f"{ID}/status")).status_code == 400
    assert (await call("PUT", "/eureka/v2/apps/ORDERS/none/status?value=UP")).status_code == 404


async def test_adding_metadata(call):
    await call.register()
    assert (await call("PUT", f"{ID}/metadata?a=1&b=x%20y&a=2&empty=")).status_code == 200
    (application,) = (await call.applications())["application"]
    expected = {"zone": "a", "weight": "3", "a": "1", "b": "x y", "empty": ""}
    assert application["instance"][0]["metadata"] == expected
    assert (await call("PUT", "/eureka/v2/apps/ORDERS/none/metadata?a=1")).status_code == 404


# -- the delta -----------------------------------------------------------------------------------------------------------


async def test_a_delta_shows_each_change_at_once(call):
    await call.register()
    first = await call.applications("/eureka/v2/apps/delta")
    await call("PUT", f"{ID}/status?value=DOWN")
    second = await call.applications("/eureka/v2/apps/delta")
    assert second["application"][0]["instance"][0]["actionType"] == "MODIFIED"
    assert int(second["versions__delta"]) > int(first["versions__delta"])
    assert second["apps__hashcode"] == "DOWN_1_"


# -- replication ---------------------------------------------------------------------------------------------------------


def item(action, **fields):
    return {"action": action, "appName": "ORDERS", "id": "host:orders:8080", **fields}


async def batch(call, *items, **headers):
    body = {"replicationList": list(items)}
    answer = await call("POST", "/eureka/v2/peerreplication/batch/", body, **headers)
    assert answer.status_code == 200
    return answer.json()["responseList"]


async def test_a_batch_is_answered_action_by_action(call):
    assert await batch(
        call,
        item("Heartbeat", lastDirtyTimestamp=5, status="UP"),
        item("Register", instanceInfo=instance()),
        item("Heartbeat", lastDirtyTimestamp=1700000000000, status="UP"),
        item("StatusUpdate", status="DOWN", lastDirtyTimestamp=1700000000000),
        item("DeleteStatusOverride", status="UP", lastDirtyTimestamp=1700000000000),
        item("Explode"),
        item("StatusUpdate", status="SLEEPY"),
        item("Register"),
        item("Heartbeat", lastDirtyTimestamp="tomorrow"),
        item("Cancel"),
        item("Cancel"),
    ) == [{"statusCode": code} for code in (404, 200, 200, 200, 200, 400, 400, 400, 400, 200, 404)]


async def test_a_peer_that_is_behind_is_told_what_it_misses(call):
    await call.register()
    (answer,) = await batch(call, item("Heartbeat", lastDirtyTimestamp=1600000000000, status="UP"))
    assert answer["statusCode"] == 409
    assert answer["responseEntity"]["ipAddr"] == "10.0.0.1"


async def test_an_override_travels_with_the_heartbeat_of_a_newer_registration(call):
    await call.register()
    fields = {"lastDirtyTimestamp": 1700000000001, "status": "UP", "overriddenStatus": "OUT_OF_SERVICE"}
    assert await batch(call, item("Heartbeat", **fields)) == [{"statusCode": 404}]
    newer = instance(lastDirtyTimestamp="1700000000001")
    assert await batch(call, item("Register", instanceInfo=newer)) == [{"statusCode": 200}]
    assert (await call.applications())["apps__hashcode"] == "OUT_OF_SERVICE_1_"


# -- the region's own ------------------------------------------------------------------------------------------------------


async def sign_in(call, one=None):
    one = one or ours()
    return await call(
        "PUT", f"/v1/registry/{one.service}/{one.instance}", msgspec.to_builtins(one), **call.as_role("service")
    )


@pytest.mark.parametrize(
    "one",
    [ours(port=70_000), ours(text="\x00"), ours(text="x" * 40_000), msgspec.structs.replace(ours(), address="\x01:1")],
)
async def test_one_of_ours_that_would_hurt_others_is_refused_too(call, one):
    assert (await sign_in(call, one)).status_code in {400, 413}
    assert (await call.applications())["application"] == []


async def our_view(call):
    answer = await call("GET", "/v1/registry", **call.as_role("service"))
    return msgspec.json.decode(answer.content, type=Registry)


async def test_our_own_instances_are_shown_to_eureka_clients_too(call):
    assert (await sign_in(call)).status_code == 204
    (application,) = (await call.applications())["application"]
    (shown,) = application["instance"]
    assert (shown["app"], shown["instanceId"], shown["vipAddress"]) == ("CATALOG", "catalog-1", "catalog")
    assert (shown["ipAddr"], shown["port"]) == ("127.0.0.1", {"$": 80, "@enabled": "true"})
    assert shown["leaseInfo"]["durationInSecs"] == 6
    assert shown["metadata"]["zone"] == "a"


async def test_nobody_without_an_identity_touches_them(call):
    await sign_in(call)
    mine = "/eureka/v2/apps/CATALOG/catalog-1"
    attempts = [
        ("PUT", mine),
        ("PUT", mine.lower()),
        ("DELETE", mine),
        ("PUT", f"{mine}/status?value=OUT_OF_SERVICE"),
        ("DELETE", f"{mine}/status"),
        ("PUT", f"{mine}/metadata?public_base=http://evil"),
    ]
    for headers in ({}, call.as_role("viewer"), {"x_netflix_discovery_replication": "true"}):
        for method, path in attempts:
            assert (await call(method, path, **headers)).status_code == 403
        for action in ("Heartbeat", "Cancel", "StatusUpdate", "DeleteStatusOverride"):
            fields = {"appName": "catalog", "id": "catalog-1", "status": "DOWN"}
            assert await batch(call, item(action, **fields), **headers) == [{"statusCode": 403}]
    registry = await our_view(call)
    assert (registry.instances, registry.out_of_service) == ((ours(),), ())


@pytest.mark.parametrize("role", ["operator", "service"])
async def test_operators_and_services_may(call, role):
    await sign_in(call)
    mine, headers = "/eureka/v2/apps/CATALOG/catalog-1", call.as_role(role)
    assert (await call("PUT", f"{mine}/status?value=OUT_OF_SERVICE", **headers)).status_code == 200
    assert (await our_view(call)).out_of_service == ("catalog/catalog-1",)
    assert (await call("DELETE", f"{mine}/status", **headers)).status_code == 200
    assert (await our_view(call)).out_of_service == ()
    assert (await call("PUT", f"{mine}/metadata?canary=yes", **headers)).status_code == 200
    assert (await our_view(call)).instances == (ours(canary="yes"),)
    assert (await call("DELETE", mine, **headers)).status_code == 200
    assert (await our_view(call)).instances == ()


async def test_what_comes_by_eurekas_contract_is_foreign_whoever_sends_it(call):
    for headers in ({}, call.as_role("service")):
        one = instance(app="ENCODING", instanceId="encoding-1")
        answer = await call("POST", "/eureka/v2/apps/ENCODING", {"instance": one}, **headers)
        assert answer.status_code == 204
    register = {"appName": "GATEWAY", "id": "gateway-1"}
    one = instance(app="GATEWAY", instanceId="gateway-1", appGroupName="KINEMA")
    for headers, status in (({}, 403), (call.as_role("operator"), 403), (call.as_role("service"), 200)):
        assert await batch(call, item("Register", instanceInfo=one, **register), **headers) == [{"statusCode": status}]
    # Only what another registry of the region, a service, has vouched for is one of our own.
    assert [one.instance for one in (await our_view(call)).instances] == ["gateway-1"]


async def test_operators_take_an_instance_out_of_service_by_our_own_contract(call):
    await sign_in(call)
    path, headers = "/v1/registry/catalog/catalog-1/status", call.as_role("operator")
    assert (await call("PUT", path, {"status": "OUT_OF_SERVICE"}, **call.as_role("viewer"))).status_code == 403
    assert (await call("PUT", path, {"status": "SLEEPY"}, **headers)).status_code == 400
    assert (await call("PUT", path, {"status": "OUT_OF_SERVICE"}, **headers)).status_code == 204
    assert (await our_view(call)).out_of_service == ("catalog/catalog-1",)
    assert (await call("DELETE", path, **headers)).status_code == 204
    assert (await our_view(call)).out_of_service == ()
    assert (await call("DELETE", path.replace("catalog-1", "catalog-9"), **headers)).status_code == 404


async def test_operators_see_the_registry_from_inside(call):
    await sign_in(call)
    await call.register()
    assert (await call("GET", "/v1/registry/state")).status_code == 401
    assert (await call("GET", "/v1/registry/state", **call.as_role("viewer"))).status_code == 403
    answer = await call("GET", "/v1/registry/state", **call.as_role("operator"))
    state = msgspec.json.decode(answer.content, type=RegistryState)
    assert (state.registry, state.signed, state.foreign, state.self_preservation) == ("discovery-1", 1, 1, False)
    assert [one.instance for one in state.instances] == ["catalog-1", "host:orders:8080"]


# -- who may ask ---------------------------------------------------------------------------------------------------------


async def test_without_a_token_the_registry_speaks_with_its_own_machine_alone(call):
    for method, path in (("GET", "/eureka/v2/apps"), ("PUT", ID), ("POST", "/v3/discovery:endpoints")):
        answer = await call(method, path, base=ELSEWHERE)
        assert answer.status_code == 403
        assert "registry_token" in answer.json()["detail"]
    assert (await call("GET", "/healthz", base=ELSEWHERE)).status_code == 200


async def test_a_page_in_a_browser_changes_nothing_though_its_name_points_here(call):
    for method, path, body in (
        ("POST", "/eureka/v2/apps/ORDERS", {"instance": instance()}),
        ("PUT", ID, None),
        ("DELETE", ID, None),
        ("POST", "/eureka/v2/peerreplication/batch/", {"replicationList": []}),
    ):
        answer = await call(method, path, body, origin="http://rebound.example:8080", host="rebound.example:8080")
        assert answer.status_code == 403, path
    assert (await call("GET", ID)).status_code == 404
    assert (await call("GET", "/eureka/v2/apps", host="registry")).status_code == 200


async def test_with_a_token_whoever_has_it_may_ask_from_anywhere(tmp_path):
    keys, clock = KeyRing(tmp_path), ManualClock()
    async with running(create_discovery(instance="discovery-1", keys=keys, clock=clock, token="sésame")) as http:
        call = Caller(http, keys, clock)
        for base in (HERE, ELSEWHERE):
            right = "Basic " + base64.b64encode("any:sésame".encode()).decode()
            assert (await call("GET", "/eureka/v2/apps", base=base, authorization=right)).status_code == 200
            wrong = ("Basic " + base64.b64encode(b"any:open").decode(), "Basic %%%", "Bearer x", "Basic", "")
            for authorization in wrong:
                answer = await call("GET", "/eureka/v2/apps", base=base, authorization=authorization)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Basic ")


# -- bad input -----------------------------------------------------------------------------------------------------------

BOMB = b"""<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><instance><app>&b;</app></instance>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><instance><app>&f;</app></instance>"""
XML, JSON = "application/xml", "application/json"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"null", JSON, 400),
        (b'{"instance": 5}', JSON, 400),
        (b'{"instance": {"metadata": {"a": {"b": 1}}}}', JSON, 400),
        (b'{"instance": ' + b'{"x": ' * 9_000 + b"}" * 9_001, JSON, 400),
        (b'{"x": ' + b"[" * 30_000 + b"]" * 30_000 + b', "instance": {}}', JSON, 400),
        (b'{"instance": {"app": "\xff"}}', JSON, 400),
        (b"", XML, 400),
        (b"<instance>", XML, 400),
        (b"<applications/>", XML, 400),
        (b"<a>" * 9_000 + b"</a>" * 9_000, XML, 400),
        (b"<instance>" + b"<metadata>" * 2_500 + b"</metadata>" * 2_500 + b"</instance>", XML, 400),
        (b"<instance><app>\xff</app></instance>", XML, 400),
        (b'<?xml version="1.0" encoding="klingon"?><instance/>', XML, 400),
        (BOMB, XML, 400),
        (OUTSIDE, XML, 400),
        (b"x" * 70_000, JSON, 413),
        (b"x", "text/plain", 415),
        (b"x", "", 415),
    ],
)
async def test_what_cannot_be_read_is_refused_in_a_sentence_and_the_rest_is_unaffected(call, body, kind, status):
    await call.register()
    answer = await call("POST", "/eureka/v2/apps/ORDERS", body, **({"content_type": kind} if kind else {}))
    assert answer.status_code == status
    assert answer.json()["detail"].endswith((".", ";"))
    assert (await call.applications())["apps__hashcode"] == "UP_1_"


@pytest.mark.parametrize(
    "said",
    [
        {"metadata": {"big": "x" * 40_000}},
        {"metadata": {str(number): "" for number in range(300)}},
        {"metadata": {"a": "\x00"}},
        {"metadata": {"\x08": "a"}},
        {"metadata": {"": "a"}},
        {"hostName": "\ufffe"},
        {"ipAddr": "x" * 300},
        {"port": {"$": 70_000}},
        {"port": {"$": -1}},
        {"port": {"$": "eighty"}},
        {"leaseInfo": {"durationInSecs": 10**9}},
        {"leaseInfo": {"durationInSecs": "long"}},
        {"countryId": 1.5},
        {"vipAddress": ",".join("abcd" for _ in range(60))},
        {"dataCenterInfo": {"name": "Moon"}},
        {"dataCenterInfo": {"name": ""}},
    ],
)
async def test_what_would_hurt_others_is_refused(call, said):
    answer = await call.register(**said)
    assert answer.status_code in {400, 413}
    assert (await call.applications())["application"] == []


async def test_a_megabyte_of_metadata_is_refused_before_it_is_read(call):
    answer = await call.register(metadata={"big": "x" * (1 << 20)})
    assert answer.status_code == 413
    await call.register()
    assert (await call("PUT", f"{ID}/metadata?big={'x' * 40_000}")).status_code == 413


async def test_a_gzipped_body_is_read_and_one_that_grows_without_end_is_not(call):
    body = gzip.compress(json.dumps({"instance": instance()}).encode())
    headers = {"content_type": JSON, "content_encoding": "gzip"}
    assert (await call("POST", "/eureka/v2/apps/ORDERS", body, **headers)).status_code == 204
    for bad, status in ((gzip.compress(b" " * (64 << 20)), 413), (body[:-20], 400), (b"no gzip", 400)):
        assert (await call("POST", "/eureka/v2/apps/ORDERS", bad, **headers)).status_code == status
    headers["content_encoding"] = "br"
    assert (await call("POST", "/eureka/v2/apps/ORDERS", body, **headers)).status_code == 400


async def test_texts_that_need_escaping_come_back_as_they_were(call):
    metadata = {"a_b": "<&>\"'\r\n", "$weird key/é😀": "]]>", "1": "one", "xml": " x "}
    await call.register(metadata=metadata, statusPageUrl="http://h/?a=1&b=2")
    shown = await call("GET", ID, accept=JSON)
    assert shown.json()["instance"]["metadata"] == metadata
    as_xml = await call("GET", ID)
    assert ET.fromstring(as_xml.content).findtext("statusPageUrl") == "http://h/?a=1&b=2"
    # What is written as XML is read as the same: an instance copied from one registry to another is no other.
    assert (await call("DELETE", ID)).status_code == 200
    assert (await call("POST", "/eureka/v2/apps/ORDERS", as_xml.content, content_type=XML)).status_code == 204
    assert (await call("GET", ID, accept=JSON)).json()["instance"]["metadata"] == metadata


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/eureka/v2/apps", 405),
        ("PATCH", ID, 405),
        ("POST", f"{ID}/status?value=UP", 405),
        ("GET", "/eureka/v2/peerreplication/batch/", 405),
        ("GET", "/eureka/v2/apps/%FF", 400),
        ("PUT", f"{ID}?a=%FF", 400),
        ("PUT", f"{ID}/metadata?{'&'.join(f'k{number}=1' for number in range(400))}", 400),
        ("GET", "/v3/discovery:clusters", 404),
        ("GET", "/v3/discovery:endpoints", 405),
    ],
)
async def test_what_is_no_request_of_the_contract(call, method, path, status):
    await call.register()
    assert (await call(method, path)).status_code == status


async def test_an_answer_in_a_form_that_there_is_not(call):
    assert (await call("GET", "/eureka/v2/apps", accept="image/png")).status_code == 406


async def test_a_batch_that_is_too_long_or_none(call):
    path = "/eureka/v2/peerreplication/batch/"
    assert (await call("POST", path, {"replicationList": [item("Cancel")] * 5_001})).status_code == 400
    assert (await call("POST", path, b"[]", content_type=JSON)).status_code == 400
    assert (await call("POST", path, b"<x/>", content_type=XML)).status_code == 415


# -- endpoint discovery ------------------------------------------------------------------------------------------------------


async def test_envoy_is_told_where_instances_are_and_how_they_are(call):
    await sign_in(call)
    await call.register()
    await call("PUT", f"{ID}/status?value=OUT_OF_SERVICE")
    ask = {"resource_names": ["catalog", "orders", "nobody"], "node": {"id": "e"}, "type_url": ""}
    answer = (await call("POST", "/v3/discovery:endpoints", ask)).json()
    named = {one["cluster_name"]: one["endpoints"] for one in answer["resources"]}
    assert named["nobody"] == []
    (place,) = named["catalog"]
    assert place["locality"] == {"region": "home", "zone": "a"}
    (endpoint,) = place["lb_endpoints"]
    assert endpoint["endpoint"]["address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 80}}
    assert endpoint["health_status"] == "HEALTHY"
    assert named["orders"][0]["lb_endpoints"][0]["health_status"] == "DRAINING"
    again = await call("POST", "/v3/discovery:endpoints", ask | {"version_info": answer["version_info"]})
    assert again.status_code == 304
    for bad in (b"", b"[", b'{"type_url": "\xff"}', b'{"resource_names": 5}', b'{"type_url": "x"}'):
        assert (await call("POST", "/v3/discovery:endpoints", bad, content_type=JSON)).status_code == 400
