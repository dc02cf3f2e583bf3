"""Setting, trying, taking back and rolling back properties through the real app, two instances on one database."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from kinema.core.errors import Unavailable
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.core.property_scope import Override, Place, Scope, matches
from kinema.model.discovery import Instance
from kinema.model.members import Who
from kinema.services.configuration import repository
from kinema.services.configuration.app import create_configuration
from kinema.storage.engines import open_sql
from tests.support.services import Instances, StoppedClock, as_, running

LEVEL = "/v1/properties/log.level"


class Everybody(Instances):
    def everybody(self):
        return self.all


class Names:
    """Members, as far as configuration asks them: accounts have names."""

    def __init__(self):
        self.down = False

    async def call(self, service, method, path, *, identity, **_):
        if self.down:
            raise Unavailable("No instance of members is running.")
        assert (service, method, path) == ("members", "GET", "/v1/session")
        return Who(identity.account, "operator", identity.session, name=identity.account.removeprefix("acc_").title())


def instance(service, number, zone="a", process=None):
    name = f"{service}-{number}"
    return Instance(service, name, "127.0.0.1:1", "home", zone, "0", {"process": process or name})


class Room:
    def __init__(self, path, url):
        self.clock, self.keys = StoppedClock(), KeyRing(path)
        self.directory = Everybody(
            instance("catalog", 1, "a", "cell-1"), instance("catalog", 2, "b", "cell-2"), instance("gateway", 1)
        )
        self.names = Names()
        self.sqls = [open_sql(path, url, "configuration") for _ in range(2)]
        self.properties = Properties(Place("cell-1", zone="a", region="home"), clock=self.clock)

    def app(self, number):
        return create_configuration(
            instance=f"configuration-{number + 1}",
            sql=self.sqls[number],
            keys=self.keys,
            clock=self.clock,
            properties=self.properties,
            calls=self.names,
            directory=self.directory,
        )

    def as_(self, role="operator", account="acc_ada"):
        return as_(role, self.keys, self.clock, account)

    async def set(self, value, path=LEVEL, instance=0, account="acc_ada", if_match=None, **body):
        headers = self.as_(account=account) | ({} if if_match is None else {"if-match": if_match})
        return await self.clients[instance].put(path, json={"value": value, **body}, headers=headers)

    async def get(self, path=LEVEL, instance=1, role="operator", **headers):
        return await self.clients[instance].get(path, headers=self.as_(role) | headers)

    async def unset(self, query="", if_match=None):
        headers = self.as_() | ({} if if_match is None else {"if-match": if_match})
        return await self.clients[0].delete(f"{LEVEL}{query}", headers=headers)

    async def roll_back(self, entry, **body):
        path = f"/v1/properties/audit/{entry}/rollback"
        return await self.clients[1].post(path, json=body, headers=self.as_(account="acc_grace"))

    async def trail(self, query=""):
        answer = await self.get(f"/v1/properties/audit{query}", instance=0)
        assert answer.status_code == 200, answer.text
        return answer.json()["entries"]

    async def layer(self, etag=""):
        return await self.get("/v1/internal/properties", role="service", **({"if-none-match": etag} if etag else {}))


@asynccontextmanager
async def opened(path, url=""):
    room = Room(path, url)
    async with running(room.app(0)) as first, running(room.app(1)) as second:
        room.clients = (first, second)
        yield room
    for sql in room.sqls:
        await sql.close()


@pytest.fixture
async def room(tmp_path):
    async with opened(tmp_path) as one:
        yield one


def given(scope):
    """Return what a scope says that is not its default."""
    return {name: value for name, value in scope.items() if value not in ("", 100)}


def values(state):
    return [(row["value"], given(row["scope"])) for row in state["overrides"]]


async def test_every_declared_property_is_listed_with_what_it_accepts(room):
    listed = {one["name"]: one for one in (await room.get("/v1/properties")).json()["properties"]}
    level = listed["log.level"]
    assert (level["kind"], level["value"], level["layer"], level["default"]) == ("text", "info", "default", "info")
    assert level["choices"] == ["debug", "info", "warning", "error"]
    assert level["allowed"] == "one of debug, info, warning, error"
    assert level["variable"] == "KINEMA_PROPERTY_LOG_LEVEL"
    assert list(listed) == sorted(listed)


async def test_a_value_is_set_seen_by_the_other_instance_and_taken_back(room):
    put = await room.set("debug", reason="looking for a fault")
    assert (put.status_code, put.json()["value"], put.json()["layer"]) == (200, "debug", "runtime")
    seen = (await room.get()).json()
    assert seen == put.json()
    (row,) = seen["overrides"]
    assert (row["value"], row["set_by"], row["reason"]) == ("debug", "Ada", "looking for a fault")
    assert row["instances"] == ["catalog-1", "catalog-2", "gateway-1"]
    back = (await room.unset("?reason=found")).json()
    assert (back["value"], back["layer"], back["overrides"]) == ("info", "default", [])
    assert [(line["action"], line["who"], line["reason"]) for line in await room.trail()] == [
        ("unset", "Ada", "found"),
        ("set", "Ada", "looking for a fault"),
    ]


async def test_the_trail_has_old_and_new(room):
    await room.set("debug", scope={"service": "catalog"})
    await room.set("error", scope={"service": "catalog"}, account="acc_grace")
    newest, oldest = await room.trail()
    assert (oldest["old"], oldest["new"]["value"], given(oldest["scope"])) == (None, "debug", {"service": "catalog"})
    assert (newest["old"]["value"], newest["new"]["value"], newest["who"]) == ("debug", "error", "Grace")


@pytest.mark.parametrize("value", ["loud", 5, True, ["info"], "x" * 2000])
async def test_what_the_property_does_not_accept_is_never_stored(room, value):
    refused = await room.set(value)
    assert refused.status_code == 400
    assert refused.json()["type"].endswith("property-refused")
    assert refused.json()["detail"].startswith("The property log.level cannot be ")
    assert await room.trail() == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"scope": {"percent": 0}}, "percentage"),
        ({"scope": {"percent": 100.5}}, "percentage"),
        ({"scope": {"service": "not a name"}}, "no name of service"),
        ({"scope": {"zone": "../a"}}, "no name of zone"),
        ({"scope": {"zones": "a"}}, "zones"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 1e12}, "expires_in"),
        ({"reason": "x" * 501}, "reason"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_change_that_means_nothing_is_refused(room, body, says):
    refused = await room.set("debug", **body)
    assert (refused.status_code, says in refused.text) == (400, True), refused.text
    assert await room.trail() == []


async def test_what_is_not_there_is_not_found(room):
    assert (await room.get("/v1/properties/no.such")).status_code == 404
    assert (await room.set(1, path="/v1/properties/no.such")).status_code == 404
    missing = await room.unset("?service=catalog&canary=true")
    assert (missing.status_code, "percentage for catalog" in missing.json()["detail"]) == (404, True)
    assert (await room.roll_back(77)).status_code == 404


async def test_only_operators_see_and_change_and_only_services_follow(room):
    for role, path, status in (
        ("viewer", "/v1/properties", 403),
        ("viewer", LEVEL, 403),
        ("viewer", "/v1/properties/audit", 403),
        ("viewer", "/v1/internal/properties", 403),
        ("operator", "/v1/internal/properties", 403),
        ("service", "/v1/internal/properties", 200),
        ("service", "/v1/properties", 200),
    ):
        assert (await room.get(path, role=role)).status_code == status
    viewer = room.as_("viewer")
    assert (await room.clients[0].put(LEVEL, json={"value": "debug"}, headers=viewer)).status_code == 403
    assert (await room.clients[0].delete(LEVEL, headers=viewer)).status_code == 403
    assert (await room.clients[0].post("/v1/properties/audit/1/rollback", json={}, headers=viewer)).status_code == 403
    assert (await room.clients[0].get("/v1/properties")).status_code == 401


async def test_a_change_on_an_outdated_state_is_refused(room):
    etag = (await room.get()).headers["etag"]
    assert (await room.set("debug", if_match=etag)).status_code == 200
    late = await room.set("error", if_match=etag, account="acc_grace")
    assert (late.status_code, (await room.get()).json()["value"]) == (412, "debug")
    fresh = (await room.get()).headers["etag"]
    assert (await room.unset(if_match=etag)).status_code == 412
    assert (await room.unset(if_match=f'"other", {fresh}')).status_code == 200
    assert (await room.set("error", if_match=f"W/{fresh}")).status_code == 412
    assert (await room.set("error", if_match="*")).status_code == 200


async def test_of_racing_changes_based_on_one_state_exactly_one_is_made(room):
    etag = (await room.get()).headers["etag"]
    levels = ["debug", "warning", "error"] * 4
    answers = await asyncio.gather(
        *(room.set(level, instance=number % 2, if_match=etag) for number, level in enumerate(levels))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 11
    assert len(await room.trail()) == 1


async def test_setting_the_same_again_leaves_no_line(room):
    first = await room.set("debug")
    second = await room.set("debug")
    assert second.headers["etag"] == first.headers["etag"]
    assert len(await room.trail()) == 1


async def test_a_scope_and_a_percentage_each_have_one_value(room):
    await room.set("warning")
    await room.set("debug", scope={"percent": 10})
    await room.set("debug", scope={"percent": 50})
    await room.set("error", scope={"service": "catalog", "zone": "b"})
    state = (await room.get()).json()
    assert values(state) == [
        ("error", {"service": "catalog", "zone": "b"}),
        ("debug", {"percent": 50.0}),
        ("warning", {}),
    ]
    assert state["overrides"][0]["instances"] == ["catalog-2"]
    assert (await room.unset("?canary=true")).status_code == 200
    assert (await room.unset("?service=catalog&zone=b")).status_code == 200
    assert values((await room.get()).json()) == [("warning", {})]
    first, *_ = await room.trail("?limit=1")
    assert (given(first["scope"]), first["old"]["value"], first["new"]) == (
        {"service": "catalog", "zone": "b"},
        "error",
        None,
    )


async def test_the_canary_of_a_percentage_is_the_same_in_the_service_and_in_the_process(room):
    await room.set("debug", scope={"percent": 50})
    (row,) = (await room.get()).json()["overrides"]
    override = Override("log.level", "debug", Scope(percent=50))
    processes = {"catalog-1": "cell-1", "catalog-2": "cell-2", "gateway-1": "gateway-1"}
    assert row["instances"] == [
        name for name, process in processes.items() if matches(override, Place(process), room.clock.now())
    ]


async def test_rolling_back_puts_back_what_held_before_a_change(room):
    await room.set("debug")
    await room.set("warning")
    await room.set("error", scope={"service": "catalog"})
    await room.set("error")
    lines = {line["new"]["value"] + str(given(line["scope"])): line["entry"] for line in await room.trail()}
    back = await room.roll_back(lines["error{}"], reason="too quiet")
    assert (back.status_code, values(back.json())) == (200, [("error", {"service": "catalog"}), ("warning", {})])
    back = await room.roll_back(lines["warning{}"])
    assert values(back.json()) == [("error", {"service": "catalog"}), ("debug", {})]
    back = await room.roll_back(lines["debug{}"])
    assert values(back.json()) == [("error", {"service": "catalog"})]
    again = await room.roll_back(lines["debug{}"])
    assert (again.status_code, again.json()) == (200, back.json())
    newest = (await room.trail())[:3]
    assert [(line["action"], line["who"], line["reason"]) for line in newest] == [
        ("rolled back", "Grace", f"as before change {lines['debug{}']}"),
        ("rolled back", "Grace", f"as before change {lines['warning{}']}"),
        ("rolled back", "Grace", "too quiet"),
    ]


async def test_a_value_ends_by_itself_and_the_trail_says_so(room):
    await room.set("debug", expires_in=60)
    state = (await room.get()).json()
    assert (state["value"], state["overrides"][0]["expires_at"] is not None) == ("debug", True)
    etag = (await room.layer()).headers["etag"]
    room.clock.shift += 60
    assert (await room.get()).json()["value"] == "info"
    newest, _ = await room.trail()
    assert (newest["action"], newest["who"], newest["old"]["value"], newest["new"]) == (
        "expired",
        "expiry",
        "debug",
        None,
    )
    assert (await room.layer(etag)).status_code == 200
    back = await room.roll_back(newest["entry"])
    assert back.json()["overrides"] == []  # what has expired is not put back


async def test_the_runtime_layer_is_asked_for_by_its_mark(room):
    first = await room.layer()
    assert first.json() == {"overrides": []}
    assert (await room.layer(first.headers["etag"])).status_code == 304
    await room.set("debug", scope={"zone": "b"}, expires_in=1000)
    second = await room.layer(first.headers["etag"])
    assert second.status_code == 200
    (override,) = second.json()["overrides"]
    assert (override["name"], override["value"], given(override["scope"])) == ("log.level", "debug", {"zone": "b"})
    assert (await room.layer(second.headers["etag"])).status_code == 304


async def test_another_database_never_has_the_same_mark(room, tmp_path):
    async with opened(tmp_path / "other") as other:
        await room.set("debug")
        await other.set("debug")
        assert (await room.layer()).headers["etag"] != (await other.layer()).headers["etag"]


async def test_the_trail_comes_in_pages(room):
    for number in range(7):
        await room.set(("debug", "error")[number % 2])
    seen, cursor = [], ""
    while cursor is not None:
        page = (await room.get(f"/v1/properties/audit?limit=3&name=log.level&cursor={cursor}")).json()
        seen.append([line["entry"] for line in page["entries"]])
        cursor = page["next_cursor"]
    assert seen == [[7, 6, 5], [4, 3, 2], [1]]
    assert await room.trail("?name=other.name") == []
    assert (await room.get("/v1/properties/audit?cursor=made-up")).status_code == 400


async def test_there_is_an_end_to_how_many_values_can_be_set(room, monkeypatch):
    monkeypatch.setattr(repository, "MOST_OF_ONE", 3)
    for number in range(3):
        assert (await room.set("debug", scope={"instance": f"catalog-{number}"})).status_code == 200
    full = await room.set("debug", scope={"instance": "catalog-9"})
    assert (full.status_code, "take some back" in full.json()["detail"]) == (409, True)
    assert (await room.set("error", scope={"instance": "catalog-1"})).status_code == 200  # in the place of another


async def test_the_trail_keeps_a_limited_number_of_lines(room, monkeypatch):
    monkeypatch.setattr(repository, "KEPT_CHANGES", 3)
    for number in range(5):
        await room.set(("debug", "error")[number % 2])
    assert [line["entry"] for line in await room.trail()] == [5, 4, 3]


async def test_a_change_does_not_wait_for_members(room):
    room.names.down = True
    await room.set("debug")
    assert [line["who"] for line in await room.trail()] == ["acc_ada"]


async def test_the_file_and_the_environment_show_as_layers(tmp_path):
    room = Room(tmp_path, "")
    room.properties = Properties(Place(region="home"), {"KINEMA_PROPERTY_LOG_LEVEL": "loud"}, room.clock)
    room.properties.replace_file({"log.level": "warning", "log.levle": "debug"})
    async with running(room.app(0)) as client:
        room.clients = (client, client)
        assert (await room.get("/v1/properties")).json()["unknown"] == ["log.levle"]
        state = (await room.get()).json()
    await room.sqls[0].close()
    await room.sqls[1].close()
    assert (state["value"], state["layer"]) == ("warning", "file")
    assert [(row["layer"], row["value"], "cannot be 'loud'" in row["refused"]) for row in state["layers"]] == [
        ("environment", "loud", True),
        ("file", "warning", False),
        ("default", "info", False),
    ]


async def test_a_rollback_needs_no_body(room):
    await room.set("debug")
    path = "/v1/properties/audit/1/rollback"
    answer = await room.clients[0].post(path, headers=room.as_())
    assert (answer.status_code, answer.json()["value"]) == (200, "info")
    assert [(one["action"], one["reason"]) for one in await room.trail()] == [
        ("rolled back", "as before change 1"),
        ("set", ""),
    ]


async def test_a_misspelled_scope_takes_nothing_back(room):
    await room.set("debug")
    answer = await room.unset("?instanc=catalog-1")
    assert answer.status_code == 400
    assert "'instanc' is no part of a scope" in answer.json()["detail"]
    assert values((await room.get()).json()) == [("debug", {})]


async def test_what_no_database_keeps_is_refused(room):
    assert (await room.set("debug", reason="a\x00b")).status_code == 400
    assert (await room.unset("?reason=a%00b")).status_code == 400
    assert (await room.get("/v1/properties/audit?name=%00")).status_code == 400


async def test_a_missing_body_is_told_in_a_sentence(room):
    answer = await room.clients[0].put(LEVEL, headers=room.as_())
    assert answer.status_code == 400
    assert answer.json()["detail"] == "data: The request has no body; send JSON as the API describes it."
