"""Licences for protected films: who gets which keys, in which form, and who is told who had them."""

import base64
import json
from contextlib import asynccontextmanager

import m3u8
import msgspec
import pytest
from mpegdash.parser import MPEGDASHParser

from kinema.core import media_token
from kinema.core.media_token import MediaToken
from kinema.model.catalog import Publication, RungFact
from kinema.model.encoding import Protection, encode_manifest, manifest_key
from kinema.model.playback import Device
from kinema.services.encoding.app import create_encoding
from kinema.services.encoding.protection.keys import KeyStore
from kinema.services.encoding.protection.tiers import tier_of
from kinema.services.playback import dash, hls
from kinema.services.playback.app import create_playback
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.engines import open_sql
from tests.support.services import AppCalls, Nobody, running
from tests.unit.playback.test_plays import FORWARDED, TITLE, Region, local
from tests.unit.playback.test_texts import audio, manifest, video

ASSET = "ast_00000000000000000000000001"
RUNGS = (RungFact("video-360p", 640, 360, "avc1.64001e", 400_000),)
CLEAR = (video(), video("video-1080p", 1080, bandwidth=4_000_000), audio())


class Protected(Region):
    """Catalog, encoding with its key store, and playback; one protected title."""

    def playback_app(self, number, sql, catalog):
        return create_playback(
            instance=f"playback-{number}",
            sql=sql,
            blobs=self.blobs,
            cache=LoadingCache(MemoryCache(), "manifests", self.clock),
            keys=self.keys,
            clock=self.clock,
            calls=AppCalls(self.keys, self.clock, {"catalog": catalog, "encoding": self.encoding}),
            directory=self.directory,
            token_seconds=600,
        )

    async def publish(self, version=1):
        tracks, self.content_keys = [], {}
        for track in CLEAR:
            key = await self.store.key_for(ASSET, tier_of(track))
            tracks.append(msgspec.structs.replace(track, key_id=key.key_id, initialization_vector=key.iv))
            self.content_keys[track.name] = key
        stored = msgspec.structs.replace(
            manifest(*tracks),
            asset=ASSET,
            version=version,
            title_id=TITLE,
            protection=Protection("cbcs", tuple(key.key_id for key in self.content_keys.values())),
        )
        await self.blobs.put(manifest_key(ASSET, version), encode_manifest(stored))
        publication = Publication(ASSET, version, 6.0, RUNGS, complete=True, title="A film")
        await self.catalog.put(
            f"/v1/titles/{TITLE}/publication", headers=self.as_("service"), json=msgspec.to_builtins(publication)
        )
        return stored

    async def ask(self, play, *names, token=None):
        address = local(play["manifest"]["dash"]).partition("?")[0].removesuffix("dash.mpd") + "licence"
        if token:
            address = address.replace(address.split("/")[3], token)
        kids = [encoded(bytes.fromhex(self.content_keys[name].key_id)) for name in names]
        body = json.dumps({"kids": kids, "type": "temporary"}).encode()
        return await self.playback.post(address, content=body)

    async def play(self, **device):
        answer = await self.start(device=device) if device else await self.start()
        assert answer.status_code == 201, answer.text
        return answer.json()


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@asynccontextmanager
async def opened(path):
    region = Protected(path)
    databases = [open_sql(path, "", name) for name in ("catalog", "playback", "encoding")]
    encoding = create_encoding(
        instance="encoding-1", sql=databases[2], blobs=region.blobs, keys=region.keys, clock=region.clock,
        calls=Nobody(), upload_limit_bytes=1000,
    )  # fmt: skip
    async with running(region.catalog_app(databases[0])) as catalog, running(encoding) as region.encoding:
        region.catalog = catalog
        region.store = KeyStore(databases[2], region.keys, region.clock)
        async with running(region.playback_app(1, databases[1], catalog)) as region.playback:
            region.stored = await region.publish()
            yield region
    for database in databases:
        await database.close()


@pytest.fixture
async def region(tmp_path):
    async with opened(tmp_path) as region:
        yield region


async def test_a_play_gets_the_keys_of_its_tracks_as_a_jwk_set(region):
    play = await region.play()
    answer = await region.ask(play, "video-360p", "video-1080p", "audio-und-aac-128k")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == {
        "keys": [
            {"k": encoded(bytes.fromhex(key.key)), "kid": encoded(bytes.fromhex(key.key_id)), "kty": "oct"}
            for key in region.content_keys.values()
        ],
        "type": "temporary",
    }


async def test_a_small_screen_gets_no_key_of_the_large_rungs(region):
    play = await region.play(max_height=480)
    some = await region.ask(play, "video-360p", "video-1080p")
    assert [one["kid"] for one in some.json()["keys"]] == [
        encoded(bytes.fromhex(region.content_keys["video-360p"].key_id))
    ]
    # What the manifest's address asks for changes nothing: the play's own device counts.
    none = await region.ask(play, "video-1080p")
    assert none.status_code == 403
    assert region.content_keys["video-1080p"].key not in none.text


async def test_without_a_valid_token_of_a_play_there_is_no_key(region):
    play = await region.play()
    forged = media_token.seal(MediaToken(ASSET, "acc_eve", int(region.clock.now()) + 60), region.keys)
    assert (await region.ask(play, "video-360p", token=forged)).status_code == 403, "of no play"
    other = media_token.seal(MediaToken("ast_2", "acc_eve", int(region.clock.now()) + 60, "ply_x"), region.keys)
    assert (await region.ask(play, "video-360p", token=other)).status_code == 403, "of another asset"
    assert (await region.ask(play, "video-360p", token="a.b.c")).status_code == 403, "of nobody"
    region.clock.shift = 700
    assert (await region.ask(play, "video-360p")).status_code == 403, "expired"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"kids":[]}',
        b'{"kids":["!!!"]}',
        b'{"kids":["AAAA"]}',
        b"\xff",
        b'{"kids":"x"}',
        b'{"kids":["\xc3\xa9"]}',
    ],
)
async def test_bad_requests_are_told_so(region, body):
    play = await region.play()
    address = local(play["manifest"]["dash"]).partition("?")[0].removesuffix("dash.mpd") + "licence"
    answer = await region.playback.post(address, content=body)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_each_licence_is_written_down(region):
    plays = [await region.play() for _ in range(3)]
    for play in plays:
        await region.ask(play, "video-360p")
    path = f"/v1/plays/licences/{ASSET}"
    assert (await region.playback.get(path, headers=region.as_("viewer"))).status_code == 403
    first = (await region.playback.get(f"{path}?limit=2", headers=region.as_("operator"))).json()
    rest = (await region.playback.get(f"{path}?before={first['next_before']}", headers=region.as_("operator"))).json()
    issued = [*first["licences"], *rest["licences"]]
    assert (len(first["licences"]), rest["next_before"]) == (2, None)
    assert {one["play_id"] for one in issued} == {play["play_id"] for play in plays}
    assert {one["account"] for one in issued} == {"acc_ada"}
    assert [one["key_ids"] for one in issued] == [[region.content_keys["video-360p"].key_id]] * 3


async def test_keys_that_were_rotated_still_open_what_is_published(region):
    play = await region.play()
    await region.store.rotate(ASSET)
    region.keys.rotate("content")
    await region.store.reseal()
    assert (await region.ask(play, "video-360p")).status_code == 200


async def test_hls_players_fetch_a_key_as_it_is(region):
    play = await region.play()
    master = local(play["manifest"]["hls"])
    name = m3u8.loads((await region.playback.get(master, headers=FORWARDED)).text).playlists[0].uri
    base = master.rpartition("/")[0]
    text = (await region.playback.get(f"{base}/{name}", headers=FORWARDED)).text
    (key,) = m3u8.loads(text).keys
    assert (key.method, key.keyformat, key.iv) == (
        "SAMPLE-AES", "identity", f"0x{region.content_keys['video-360p'].iv}",
    )  # fmt: skip
    answer = await region.playback.get(f"{base}/{key.uri}")
    assert answer.content.hex() == region.content_keys["video-360p"].key
    assert answer.headers["cache-control"] == "no-store"
    unknown = await region.playback.get(f"{base}/keys/{'0' * 32}")
    assert unknown.status_code == 403


def test_dash_names_one_key_a_set_and_where_it_is_to_be_had():
    ids = {"video-360p": "1" * 32, "video-1080p": "2" * 32, "audio-und-aac-128k": "3" * 32}
    tracks = [msgspec.structs.replace(track, key_id=ids[track.name]) for track in CLEAR]
    protected = msgspec.structs.replace(manifest(*tracks), protection=Protection("cbcs", tuple(ids.values())))
    text = dash.mpd(protected, Device(), ["http://edge.test"], "t.k.m", "http://region.test/l?a&b")
    sets = MPEGDASHParser.parse(text).periods[0].adaptation_sets
    assert [[one.id for one in found.representations] for found in sets] == [[name] for name in ids]
    for found, key_id in zip(sets, ids.values(), strict=True):
        scheme, clear_key = found.content_protections
        assert (scheme.scheme_id_uri, scheme.value) == ("urn:mpeg:dash:mp4protection:2011", "cbcs")
        assert scheme.cenc_default_kid.replace("-", "") == key_id
        assert clear_key.scheme_id_uri == "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"
    assert text.count('<dashif:Laurl Lic_type="EME-1.0">http://region.test/l?a&amp;b</dashif:Laurl>') == 3


def test_what_is_not_protected_says_nothing_of_it():
    clear = manifest(*CLEAR)
    assert "ContentProtection" not in dash.mpd(clear, Device(), ["http://edge.test"], "t.k.m")
    assert "cenc" not in dash.mpd(clear, Device(), ["http://edge.test"], "t.k.m")
    assert "EXT-X-KEY" not in hls.media(clear, clear.tracks[0], "http://edge.test", "t.k.m")
