"""The catalogue through the real app: two instances on one SQLite file and one store of blobs."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from kinema.core.errors import Conflict, StorageFull
from kinema.core.keys import KeyRing
from kinema.model.catalog import Publication, RungFact, TitleDetails
from kinema.services.catalog import repository, snapshot
from kinema.services.catalog.app import create_catalog
from kinema.services.catalog.cycle import Cycle
from kinema.storage.engines import open_blobs, open_sql
from tests.support.services import Nobody, ShiftedClock, as_, running
from tests.unit.catalog.pictures import picture

RUNG = RungFact("video-360p", 640, 360, "avc1.64001e", 400_000)


def ttl(number):
    return f"ttl_{number:026}"


class Studio:
    def __init__(self, path):
        self.path = path
        self.clock = ShiftedClock()
        self.keys = KeyRing(path)
        self.blobs = open_blobs(path)

    def app(self, number, sql):
        return create_catalog(
            instance=f"catalog-{number}", sql=sql, blobs=self.blobs, keys=self.keys, clock=self.clock, calls=Nobody()
        )

    @property
    def operator(self):
        return as_("operator", self.keys, self.clock)

    @property
    def viewer(self):
        return as_("viewer", self.keys, self.clock)

    @property
    def service(self):
        return as_("service", self.keys, self.clock)

    async def publish(self, number=1, version=1, client=None, **facts):
        asset = f"ast_{number:026}"
        key = f"manifests/{asset}/{version}.json"
        if not [blob async for blob in self.blobs.list(f"manifests/{asset}") if blob.key == key]:
            await self.blobs.put(key, b"{}")
        publication = Publication(
            **{
                "asset": asset,
                "manifest_version": version,
                "duration_seconds": 60.0,
                "rungs": (RUNG,),
                "complete": False,
                "title": f"Film {number}",
                **facts,
            }
        )
        return await (client or self.first).put(
            f"/v1/titles/{ttl(number)}/publication", headers=self.service, json=msgspec.to_builtins(publication)
        )

    async def get(self, path, client=None, **headers):
        return await (client or self.first).get(path, headers=self.viewer | headers)

    async def until_version(self, version, client):
        async with asyncio.timeout(10):
            while (await self.get("/v1/catalog/version", client)).json()["version"] < version:  # noqa: ASYNC110 -- it is told over HTTP only
                await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(path, sql_url=""):
    studio = Studio(path)
    studio.sql, other = open_sql(path, sql_url, "catalog"), open_sql(path, sql_url, "catalog")
    async with running(studio.app(1, studio.sql)) as first, running(studio.app(2, other)) as second:
        studio.first, studio.second = first, second
        yield studio
    await studio.sql.close()
    await other.close()


@pytest.fixture
async def studio(tmp_path):
    async with opened(tmp_path) as studio:
        yield studio


async def test_a_publication_reaches_the_other_instance_within_seconds(studio):
    assert (await studio.get("/v1/home")).json() == {"version": 0, "billboard": None, "rows": []}
    answer = await studio.publish()
    assert answer.status_code == 200
    version = answer.json()["catalog_version"]
    home = (await studio.get("/v1/home")).json()
    assert home["version"] == version
    assert home["rows"][0]["titles"][0]["title"] == "Film 1"
    await studio.until_version(version, studio.second)
    assert (await studio.get(f"/v1/titles/{ttl(1)}", studio.second)).json()["asset"].startswith("ast_")


async def test_details_are_shown_once_the_title_is_published(studio):
    body = {
        "title": 'A "film"\nby \U0001f3ac',
        "synopsis": "One line.",
        "year": 1999,
        "genres": ["Calm"],
        "shelf": "Sea",
    }
    written = await studio.first.put(f"/v1/titles/{ttl(1)}", headers=studio.operator, json=body)
    assert written.json()["catalog_version"] is None
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).status_code == 404
    await studio.publish(title="upload.mp4")
    title = (await studio.get(f"/v1/titles/{ttl(1)}")).json()
    assert (title["title"], title["year"], title["shelf"]) == ('A "film" by \U0001f3ac', 1999, "Sea")
    changed = await studio.first.patch(
        f"/v1/titles/{ttl(1)}", headers=studio.operator, json={"year": None, "title": "B"}
    )
    assert changed.json()["catalog_version"] == 2
    title = (await studio.get(f"/v1/titles/{ttl(1)}")).json()
    assert (title["title"], title["year"], title["synopsis"]) == ("B", None, "One line.")
    details = await studio.first.get(f"/v1/titles/{ttl(1)}/details", headers=studio.operator)
    assert details.json()["title"] == "B"


async def test_rungs_join_without_moving_the_title(studio):
    await studio.publish(1)
    await studio.publish(2)
    before = (await studio.get(f"/v1/titles/{ttl(1)}")).json()
    more = (RUNG, RungFact("video-720p", 1280, 720, "avc1.64001f", 900_000))
    answer = await studio.publish(1, version=2, rungs=more, complete=True)
    after = (await studio.get(f"/v1/titles/{ttl(1)}")).json()
    assert answer.json()["catalog_version"] == 3
    assert after["published_at"] == before["published_at"]
    assert len(after["rungs"]) == 2
    assert after["complete"]
    page = (await studio.get("/v1/titles")).json()["titles"]
    assert [title["title"] for title in page] == ["Film 2", "Film 1"]


async def test_a_repeated_or_late_publication_changes_nothing(studio):
    await studio.publish(1, version=2)
    for version in (2, 1):
        answer = await studio.publish(1, version=version)
        assert (answer.status_code, answer.json()["catalog_version"]) == (200, 1)
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).json()["manifest_version"] == 2


async def test_nothing_is_published_without_its_manifest(studio):
    publication = Publication("ast_x", 1, 60.0, (RUNG,), complete=True, title="x")
    body = msgspec.to_builtins(publication)
    answer = await studio.first.put(f"/v1/titles/{ttl(1)}/publication", headers=studio.service, json=body)
    assert answer.status_code == 409
    assert (await studio.publish(2, rungs=())).status_code == 400
    assert (await studio.publish(2, poster="0" * 64)).status_code == 409
    assert (await studio.get("/v1/titles")).json()["titles"] == []


async def test_a_withdrawn_title_is_gone_and_stays_so(studio):
    await studio.publish(1)
    assert (await studio.first.delete(f"/v1/titles/{ttl(1)}", headers=studio.operator)).status_code == 204
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).status_code == 404
    assert (await studio.first.delete(f"/v1/titles/{ttl(1)}", headers=studio.operator)).status_code == 404
    assert (await studio.publish(1, version=2)).status_code == 410
    await studio.first.put(f"/v1/titles/{ttl(1)}", headers=studio.operator, json={"title": "Back"})
    assert (await studio.publish(1, version=2)).status_code == 200
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).json()["title"] == "Back"


async def recall(studio, number, version, reason="Picture 7 does not decode."):
    body = {"asset": f"ast_{number:026}", "manifest_version": version, "reason": reason}
    answer = await studio.first.put(f"/v1/titles/{ttl(number)}/recall", headers=studio.service, json=body)
    assert answer.status_code == 200, answer.text


async def withdrawals(studio):
    answer = await studio.first.get("/v1/catalog/withdrawals", headers=studio.operator)
    return [(one["title_id"], one["manifest_version"], one["reason"]) for one in answer.json()["withdrawals"]]


async def test_a_recalled_version_is_off_with_its_reason_and_a_newer_one_brings_the_title_back(studio):
    await studio.publish(1, version=2)
    before = (await studio.get("/v1/catalog/version")).json()["version"]
    await recall(studio, 1, 2)
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).status_code == 404
    assert (await studio.get("/v1/catalog/version")).json()["version"] == before + 1
    assert await withdrawals(studio) == [(ttl(1), 2, "Picture 7 does not decode.")]
    for version in (1, 2):
        refused = await studio.publish(1, version=version)
        assert refused.status_code == 410
        assert "Picture 7" in refused.json()["detail"]
    assert (await studio.publish(1, version=3)).status_code == 200
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).json()["manifest_version"] == 3
    assert await withdrawals(studio) == []


async def test_a_recall_that_comes_after_a_newer_version_changes_nothing(studio):
    await studio.publish(1, version=3)
    before = (await studio.get("/v1/catalog/version")).json()["version"]
    await recall(studio, 1, 2)
    await recall(studio, 2, 1)
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).json()["manifest_version"] == 3
    assert (await studio.get("/v1/catalog/version")).json()["version"] == before
    assert await withdrawals(studio) == []


async def test_an_operator_says_why_and_only_operators_read_it(studio):
    await studio.publish(1)
    path = f"/v1/titles/{ttl(1)}?reason=The%20licence%0Ahas%20ended."
    assert (await studio.first.delete(path, headers=studio.operator)).status_code == 204
    assert await withdrawals(studio) == [(ttl(1), 1, "The licence has ended.")]
    assert (await studio.first.get("/v1/catalog/withdrawals", headers=studio.viewer)).status_code == 403
    refused = await studio.first.put(f"/v1/titles/{ttl(1)}/recall", headers=studio.operator, json={})
    assert refused.status_code == 403
    await studio.first.put(f"/v1/titles/{ttl(1)}", headers=studio.operator, json={"title": "Back"})
    assert await withdrawals(studio) == []


async def test_who_may_write(studio):
    await studio.publish(1)
    for method, path, body in (
        ("PUT", f"/v1/titles/{ttl(1)}", {"title": "x"}),
        ("PATCH", f"/v1/titles/{ttl(1)}", {"title": "x"}),
        ("DELETE", f"/v1/titles/{ttl(1)}", None),
        ("GET", f"/v1/titles/{ttl(1)}/details", None),
        ("POST", "/v1/catalog/pin", {"version": None}),
        ("POST", "/v1/gc", None),
    ):
        assert (await studio.first.request(method, path, headers=studio.viewer, json=body)).status_code == 403
        assert (await studio.first.request(method, path, json=body)).status_code == 401
    answer = await studio.first.put(f"/v1/titles/{ttl(1)}/publication", headers=studio.operator, json={})
    assert answer.status_code == 403


async def test_reads_are_conditional_on_the_version(studio):
    await studio.publish(1)
    for path in ("/v1/home", "/v1/titles", f"/v1/titles/{ttl(1)}", "/v1/catalog/version"):
        answer = await studio.get(path)
        again = await studio.get(path, **{"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    await studio.publish(2)
    assert (await studio.get("/v1/home", **{"if-none-match": answer.headers["etag"]})).status_code == 200


async def test_titles_are_paged_and_searched(studio):
    for number in range(1, 6):
        await studio.publish(number)
    names, cursor = [], ""
    while cursor is not None:
        page = (await studio.get(f"/v1/titles?limit=2&cursor={cursor}")).json()
        names += [title["title"] for title in page["titles"]]
        cursor = page["next_cursor"]
    assert names == [f"Film {number}" for number in range(5, 0, -1)]
    assert [one["title"] for one in (await studio.get("/v1/titles?q=film+3")).json()["titles"]] == ["Film 3"]
    assert (await studio.get("/v1/titles?cursor=nonsense")).status_code == 400
    for limit in (0, 101, "x"):
        assert (await studio.get(f"/v1/titles?limit={limit}")).status_code == 400


async def test_artwork_is_stored_and_served_by_its_content(studio):
    await studio.publish(1)
    body = picture(studio.path, "webp", "64x96")
    headers = studio.operator | {"content-type": "text/html"}
    stored = await studio.first.put(f"/v1/titles/{ttl(1)}/artwork/poster", headers=headers, content=body)
    assert stored.status_code == 200, stored.text
    assert (stored.json()["media_type"], stored.json()["width"], stored.json()["height"]) == ("image/webp", 64, 96)
    title = (await studio.get(f"/v1/titles/{ttl(1)}")).json()
    assert title["poster"] == stored.json()["path"]
    served = await studio.get(title["poster"], studio.second)
    assert served.content == body
    assert served.headers["content-type"] == "image/webp"
    assert "immutable" in served.headers["cache-control"]
    assert (await studio.get(title["poster"], **{"if-none-match": served.headers["etag"]})).status_code == 304
    assert (await studio.get("/v1/artwork/" + "0" * 64)).status_code == 404
    assert (await studio.get("/v1/artwork/x")).status_code == 400


async def test_artwork_that_is_none_is_refused(studio):
    await studio.publish(1)
    path = f"/v1/titles/{ttl(1)}/artwork/billboard"
    assert (await studio.first.put(path, headers=studio.operator, content=b"<svg/>")).status_code == 415
    large = b"\xff\xd8\xff" + b"\0" * (5 << 20)
    assert (await studio.first.put(path, headers=studio.operator, content=large)).status_code == 413
    body = picture(studio.path)
    assert (await studio.first.put(path + "x", headers=studio.operator, content=body)).status_code == 400
    unknown = f"/v1/titles/{ttl(9)}/artwork/poster"
    assert (await studio.first.put(unknown, headers=studio.operator, content=body)).status_code == 404


async def test_racing_instances_lose_no_change(studio):
    clients = [studio.first, studio.second]
    answers = await asyncio.gather(*(studio.publish(number, client=clients[number % 2]) for number in range(1, 21)))
    assert {answer.status_code for answer in answers} == {200}
    versions = [answer.json()["catalog_version"] for answer in answers]
    assert sorted(versions) == list(range(1, 21))
    for client in clients:
        await studio.until_version(20, client)
        assert len((await studio.get("/v1/titles", client)).json()["titles"]) == 20


async def test_pinning_rolls_back_and_unpinning_returns(studio):
    await studio.publish(1)
    await studio.publish(2)
    pinned = await studio.first.post("/v1/catalog/pin", headers=studio.operator, json={"version": 1})
    assert pinned.json() == {"version": 1, "pinned": True}
    assert len((await studio.get("/v1/titles")).json()["titles"]) == 1
    await studio.publish(3)
    assert len((await studio.get("/v1/titles")).json()["titles"]) == 1
    listed = await studio.first.get("/v1/catalog/versions", headers=studio.operator)
    assert [(one["version"], one["titles"]) for one in listed.json()["versions"]] == [(3, 3), (2, 2), (1, 1)]
    assert (await studio.first.post("/v1/catalog/pin", headers=studio.operator, json={"version": 9})).status_code == 404
    unpinned = await studio.first.post("/v1/catalog/pin", headers=studio.operator, json={"version": None})
    assert unpinned.json() == {"version": 3, "pinned": False}
    assert len((await studio.get("/v1/titles")).json()["titles"]) == 3


async def test_a_failed_validation_is_rolled_back_and_never_announced(studio, monkeypatch):
    await studio.publish(1)

    def refuse(body):
        raise Conflict("The catalogue was not published: a test refuses it.")

    with monkeypatch.context() as patched:
        patched.setattr(snapshot, "validate", refuse)
        assert (await studio.publish(2)).status_code == 409
    assert (await studio.get("/v1/catalog/version")).json()["version"] == 1
    assert (await studio.publish(3)).json()["catalog_version"] == 2
    assert [one["title"] for one in (await studio.get("/v1/titles")).json()["titles"]] == ["Film 3", "Film 1"]


async def test_what_a_dead_process_left_unannounced_is_published_later(studio):
    class FullDisk:
        async def put(self, key, body):
            raise StorageFull("The disk is full; make room.")

    async def change(connection):

        await repository.save_details(connection, ttl(1), TitleDetails(title="Renamed"), written=True)
        return True

    await studio.publish(1)
    with pytest.raises(StorageFull):
        await Cycle(studio.sql, FullDisk(), studio.clock).run(change)
    healing = Cycle(studio.sql, studio.blobs, studio.clock)
    await healing.recover()
    assert (await studio.get("/v1/catalog/version")).json()["version"] == 1
    studio.clock.shift += 11
    await asyncio.gather(healing.recover(), healing.recover())
    await studio.until_version(3, studio.first)
    assert (await studio.get(f"/v1/titles/{ttl(1)}")).json()["title"] == "Renamed"
    await healing.recover()
    assert (await studio.get("/v1/catalog/version")).json()["version"] == 3


async def test_a_new_instance_serves_at_once(studio):
    await studio.publish(1)
    sql = open_sql(studio.path, "", "catalog")
    async with running(studio.app(3, sql)) as third:
        assert (await studio.get("/v1/catalog/version", third)).json()["version"] == 1
    await sql.close()


async def test_an_instance_that_cannot_load_the_catalogue_does_not_serve_an_empty_one(studio):
    await studio.publish(1)
    body = b"".join([chunk async for chunk in studio.blobs.get(snapshot.snapshot_key(1))])
    await studio.blobs.delete(snapshot.snapshot_key(1))
    sql = open_sql(studio.path, "", "catalog")
    async with running(studio.app(3, sql)) as third:
        assert (await third.get("/healthz")).status_code == 503
        assert (await studio.get("/v1/home", third)).status_code == 503
        assert (await studio.get(f"/v1/titles/{ttl(1)}", third)).status_code == 503
        assert (await studio.get("/v1/home")).status_code == 200
        await studio.blobs.put(snapshot.snapshot_key(1), body)
        await studio.until_version(1, third)
        assert (await studio.get(f"/v1/titles/{ttl(1)}", third)).status_code == 200
    await sql.close()


async def test_collection_keeps_what_is_in_use(studio):
    used, unused = picture(studio.path, colour="teal"), picture(studio.path, colour="navy")
    await studio.publish(1)
    path = f"/v1/titles/{ttl(1)}/artwork/poster"
    first = (await studio.first.put(path, headers=studio.operator, content=unused)).json()["path"]
    kept = (await studio.first.put(path, headers=studio.operator, content=used)).json()["path"]
    for number in range(2, 30):
        await studio.publish(number)
    collected = await studio.first.post("/v1/gc", headers=studio.operator)
    assert collected.json() == {"snapshots": 0, "artwork": 0}
    assets = (await studio.first.get("/v1/internal/assets", headers=studio.service)).json()["versions"]
    assert len(assets) == 29
    studio.clock.shift += 3700
    collected = await studio.first.post("/v1/gc", headers=studio.operator)
    assert collected.json() == {"snapshots": 11, "artwork": 1}
    assert (await studio.get(kept)).status_code == 200
    assert (await studio.get(first)).status_code == 404
    assert (await studio.first.post("/v1/catalog/pin", headers=studio.operator, json={"version": 3})).status_code == 404
    assert (
        await studio.first.post("/v1/catalog/pin", headers=studio.operator, json={"version": 20})
    ).status_code == 200
