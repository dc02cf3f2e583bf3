"""Plays through the real apps of playback and catalog, on SQLite and files."""

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

import m3u8
import msgspec
import pytest

from kinema.core.keys import KeyRing
from kinema.model.catalog import Publication, RungFact
from kinema.model.encoding import encode_manifest, manifest_key
from kinema.services.catalog.app import create_catalog
from kinema.services.playback.app import create_playback
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.engines import open_blobs, open_sql
from tests.support.services import AppCalls, Instances, Nobody, ShiftedClock, as_, edge, running
from tests.unit.playback.test_texts import audio, manifest, video

TITLE = "ttl_00000000000000000000000001"
RUNGS = (RungFact("video-360p", 640, 360, "avc1.64001e", 400_000),)
FORWARDED = {"x-forwarded-host": "films.example:8080", "x-forwarded-proto": "http"}


class Region:
    """Catalog and two instances of playback on one data directory."""

    def __init__(self, path):
        self.path = path
        self.clock = ShiftedClock()
        self.keys = KeyRing(path)
        self.blobs = open_blobs(path)
        self.directory = Instances(edge(":8081"))

    def catalog_app(self, sql):
        return create_catalog(
            instance="catalog-1", sql=sql, blobs=self.blobs, keys=self.keys, clock=self.clock, calls=Nobody()
        )

    def playback_app(self, number, sql, catalog):
        return create_playback(
            instance=f"playback-{number}",
            sql=sql,
            blobs=self.blobs,
            cache=LoadingCache(MemoryCache(), "manifests", self.clock),
            keys=self.keys,
            clock=self.clock,
            calls=AppCalls(self.keys, self.clock, {"catalog": catalog}),
            directory=self.directory,
            token_seconds=600,
        )

    def as_(self, role, account="acc_ada"):
        return as_(role, self.keys, self.clock, account)

    async def publish(self, version=1):
        body = manifest(video(), audio())
        asset = "ast_00000000000000000000000001"
        stored = type(body)(asset, version, TITLE, 6.0, 0.0, body.tracks)
        await self.blobs.put(manifest_key(asset, version), encode_manifest(stored))
        publication = Publication(asset, version, 6.0, RUNGS, complete=True, title="A film")
        answer = await self.catalog.put(
            f"/v1/titles/{TITLE}/publication",
            headers=self.as_("service"),
            json=msgspec.to_builtins(publication),
        )
        assert answer.status_code == 200, answer.text
        return asset

    async def start(self, headers=None, client=None, **body):
        return await (client or self.playback).post(
            "/v1/plays", json={"title_id": TITLE, **body}, headers=self.as_("viewer") | FORWARDED | (headers or {})
        )


@asynccontextmanager
async def opened(path, sql_url=""):
    region = Region(path)
    databases = [open_sql(path, sql_url, name) for name in ("catalog", "playback", "playback")]
    async with (
        running(region.catalog_app(databases[0])) as catalog,
        running(region.playback_app(1, databases[1], catalog)) as first,
        running(region.playback_app(2, databases[2], catalog)) as second,
    ):
        region.catalog, region.playback, region.other = catalog, first, second
        yield region
    for database in databases:
        await database.close()


@pytest.fixture
async def region(tmp_path):
    async with opened(tmp_path) as region:
        yield region


def local(address):
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")


async def test_a_play_leads_to_the_bytes(region):
    asset = await region.publish()
    answer = await region.start()
    assert answer.status_code == 201
    play = answer.json()
    assert play["version"] == 1
    assert play["renew_after_seconds"] == 400
    left = datetime.fromisoformat(play["expires_at"]).timestamp() - region.clock.now()
    assert 598 <= left <= 600
    assert play["manifest"]["hls"].startswith("http://films.example:8080/v1/manifests/")
    text = await region.other.get(local(play["manifest"]["hls"]), headers=FORWARDED)
    assert text.status_code == 200
    assert text.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert text.headers["access-control-allow-origin"] == "*"
    assert text.headers["cache-control"] == "private, max-age=60"
    name = m3u8.loads(text.text).playlists[0].uri
    base = local(play["manifest"]["hls"]).rpartition("/")[0]
    track = await region.playback.get(f"{base}/{name}", headers=FORWARDED)
    token = base.split("/")[3]
    assert m3u8.loads(track.text).segments[0].uri == f"http://films.example:8081/m/{token}/{asset}/1/video-360p.mp4?1"
    mpd = await region.playback.get(local(play["manifest"]["dash"]), headers=FORWARDED)
    assert mpd.headers["content-type"] == "application/dash+xml"
    assert f'<BaseURL serviceLocation="edge-0">http://films.example:8081/m/{token}/{asset}/1/</BaseURL>' in mpd.text


async def test_the_device_goes_with_the_address(region):
    await region.publish()
    play = (await region.start(device={"max_height": 480, "codecs": ["avc1", "mp4a"]})).json()
    assert play["manifest"]["hls"].endswith("hls.m3u8?max_height=480&codecs=avc1,mp4a")
    assert (await region.playback.get(local(play["manifest"]["hls"]), headers=FORWARDED)).status_code == 200
    refused = await region.start(device={"codecs": ["av01"]})
    assert refused.status_code == 415


async def test_only_published_titles_play(region):
    assert (await region.start()).status_code == 404
    await region.publish()
    assert (await region.start()).status_code == 201
    assert (await region.catalog.delete(f"/v1/titles/{TITLE}", headers=region.as_("operator"))).status_code == 204
    answer = await region.start()
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_title_id_that_is_none_is_refused(region):
    answer = await region.playback.post("/v1/plays", json={"title_id": "../../x"}, headers=region.as_("viewer"))
    assert answer.status_code == 400


async def test_nobody_starts_a_play_without_an_identity(region):
    await region.publish()
    assert (await region.playback.post("/v1/plays", json={"title_id": TITLE})).status_code == 401


async def test_a_play_keeps_its_version_and_its_lease(region):
    asset = await region.publish(1)
    play = (await region.start()).json()
    await region.publish(2)
    assert (await region.start()).json()["version"] == 2
    region.clock.shift += 500
    renewed = await region.other.post(f"/v1/plays/{play['play_id']}/renew", headers=region.as_("viewer") | FORWARDED)
    assert renewed.status_code == 200
    assert renewed.json()["version"] == 1
    assert renewed.json()["manifest"]["hls"] != play["manifest"]["hls"]
    region.clock.shift += 300
    leases = await region.other.get("/v1/internal/plays/leases", headers=region.as_("service"))
    assert [(lease["asset"], lease["version"]) for lease in leases.json()["leases"]] == [(asset, 1)]
    assert (await region.other.get("/v1/internal/plays/leases", headers=region.as_("operator"))).status_code == 403


async def test_a_token_expires_and_a_paused_play_is_renewed(region):
    await region.publish()
    play = (await region.start()).json()
    region.clock.shift += 3600
    stale = await region.playback.get(local(play["manifest"]["hls"]), headers=FORWARDED)
    assert stale.status_code == 403
    assert "expired" in stale.json()["detail"]
    renewed = await region.playback.post(f"/v1/plays/{play['play_id']}/renew", headers=region.as_("viewer") | FORWARDED)
    assert renewed.status_code == 200
    fresh = await region.playback.get(local(renewed.json()["manifest"]["hls"]), headers=FORWARDED)
    assert fresh.status_code == 200


async def test_a_token_is_good_for_its_own_asset_only(region):
    asset = await region.publish()
    play = (await region.start()).json()
    path = local(play["manifest"]["hls"])
    other = await region.playback.get(path.replace(asset, "ast_00000000000000000000000002"), headers=FORWARDED)
    assert other.status_code == 403
    token = path.split("/")[3]
    head, _, mac = token.rpartition(".")
    changed = f"{head}.{'B' if mac[0] == 'A' else 'A'}{mac[1:]}"
    forged = await region.playback.get(path.replace(token, changed), headers=FORWARDED)
    assert forged.status_code == 403


async def test_a_rotated_key_does_not_stop_a_play(region):
    await region.publish()
    play = (await region.start()).json()
    region.keys.rotate("media")
    assert (await region.other.get(local(play["manifest"]["hls"]), headers=FORWARDED)).status_code == 200


async def test_who_may_renew(region):
    await region.publish()
    play = (await region.start()).json()
    path = f"/v1/plays/{play['play_id']}/renew"
    assert (await region.playback.post(path, headers=region.as_("viewer", "acc_eve"))).status_code == 403
    assert (await region.playback.post(path, headers=region.as_("operator", "acc_eve"))).status_code == 200
    unknown = "/v1/plays/ply_00000000000000000000000000/renew"
    assert (await region.playback.post(unknown, headers=region.as_("viewer"))).status_code == 404
    region.clock.shift += 25 * 3600
    assert (await region.playback.post(path, headers=region.as_("viewer"))).status_code == 410


async def test_a_collected_version_ends_the_play(region):
    asset = await region.publish()
    play = (await region.start()).json()
    region.clock.shift += 700
    await region.blobs.delete(manifest_key(asset, 1))
    answer = await region.playback.post(f"/v1/plays/{play['play_id']}/renew", headers=region.as_("viewer"))
    assert answer.status_code == 410


async def test_a_repeated_start_is_one_play(region):
    await region.publish()
    key = {"idempotency-key": "abc"}
    first, second = await region.start(key), await region.start(key, region.other)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()


async def test_many_plays_at_once_through_both_instances(region):
    await region.publish()
    clients = [region.playback, region.other] * 10
    answers = await asyncio.gather(*(region.start(client=client) for client in clients))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["play_id"] for answer in answers}) == 20


async def test_old_plays_are_forgotten(region):
    await region.publish()
    play = (await region.start()).json()
    region.clock.shift += 2 * 86400
    collected = await region.playback.post("/v1/gc", headers=region.as_("operator"))
    assert collected.json() == {"deleted": 1}
    answer = await region.playback.post(f"/v1/plays/{play['play_id']}/renew", headers=region.as_("viewer"))
    assert answer.status_code == 404


async def test_an_unknown_text_is_not_found(region):
    await region.publish()
    play = (await region.start()).json()
    base = local(play["manifest"]["hls"]).rpartition("/")[0]
    for name in ("nothing.m3u8", "video-360p", "hls.m3u", "..%2fhls.m3u8"):
        assert (await region.playback.get(f"{base}/{name}", headers=FORWARDED)).status_code == 404


async def test_without_an_edge_the_text_says_so(region):
    await region.publish()
    play = (await region.start()).json()
    region.directory.all = ()
    answer = await region.playback.get(local(play["manifest"]["dash"]), headers=FORWARDED)
    assert answer.status_code == 503


async def test_a_forged_host_is_refused(region):
    await region.publish()
    answer = await region.start({"x-forwarded-host": 'evil"><script>'})
    assert answer.status_code == 400
