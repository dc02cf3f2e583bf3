"""Keys of films and the encryption of tracks with them."""

import asyncio
from functools import partial

import msgspec
import pytest
from sqlalchemy import select

from kinema.core.envelope import unseal
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.model.protection import key_name
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.protection.encryption import PROTECTED, Encryption
from kinema.services.encoding.protection.keys import KeyStore
from kinema.services.encoding.protection.tiers import protection_of, tier_of
from kinema.services.encoding.tables import content_keys, steps
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import content_key
from tests.support.services import as_
from tests.unit.encoding.test_manifest_versions import VIDEO

ASSET = "ast_00000000000000000000000001"
OTHER = "ast_00000000000000000000000002"


@pytest.fixture
def store(opened):
    room, _ = opened
    return KeyStore(room.sql, room.keys, room.clock)


def rung(width, height, kind="video"):
    return msgspec.structs.replace(VIDEO, kind=kind, width=width, height=height)


def test_each_class_of_resolution_has_a_key_of_its_own():
    assert [tier_of(rung(*size)) for size in ((426, 240), (1024, 576), (1280, 720), (1920, 1080), (3840, 2160))] == [
        "sd", "sd", "hd", "hd", "uhd",
    ]  # fmt: skip
    assert tier_of(rung(1080, 1920)) == "hd", "a film that stands upright"
    assert [tier_of(rung(0, 0, kind)) for kind in ("audio", "text", "image")] == ["audio", "", ""]


async def test_a_key_is_found_again_and_differs_by_title_and_tier(store):
    first = await store.key_for(ASSET, "hd")
    assert await store.key_for(ASSET, "hd") == first
    others = [await store.key_for(ASSET, "sd"), await store.key_for(OTHER, "hd")]
    assert len({first.key, *(one.key for one in others)}) == 3
    assert len({first.key_id, *(one.key_id for one in others)}) == 3
    assert len(bytes.fromhex(first.key)) == len(bytes.fromhex(first.key_id)) == len(bytes.fromhex(first.iv)) == 16


async def test_many_who_ask_at_once_get_one_key(store):
    found = await asyncio.gather(*(store.key_for(ASSET, "hd") for _ in range(8)))
    assert len(set(found)) == 1


async def test_no_key_is_readable_in_the_database(opened, store):
    key = bytes.fromhex((await store.key_for(ASSET, "hd")).key)
    async with opened[0].sql.read() as connection:
        rows = (await connection.execute(select(content_keys))).all()
    assert rows
    assert all(key not in row.box and key.hex() not in str(tuple(row)) for row in rows)


async def test_a_rotation_begins_new_keys_and_keeps_the_old_ones_for_what_is_published(opened, store):
    room, _ = opened
    before = {tier: await store.key_for(ASSET, tier) for tier in ("hd", "audio")}
    untouched = await store.key_for(OTHER, "hd")
    assert await store.rotate(ASSET) == 2
    after = {tier: await store.key_for(ASSET, tier) for tier in ("hd", "audio", "sd")}
    assert all(after[tier] != before[tier] for tier in before)
    assert await store.key_for(OTHER, "hd") == untouched
    sealed = {one.key_id: one.sealed for one in (await store.sealed(ASSET)).keys}
    for key in (*before.values(), *after.values()):
        assert unseal(sealed[key.key_id], key_name(key.key_id), room.keys).hex() == key.key


async def test_keys_are_sealed_anew_after_the_region_changed_its_key(opened, store):
    room, _ = opened
    key = await store.key_for(ASSET, "hd")
    newest = room.keys.rotate("content")
    assert await store.reseal() == 1
    assert await store.reseal() == 0
    (sealed,) = (await store.sealed(ASSET)).keys
    assert sealed.sealed.by == newest.id
    assert await store.key_for(ASSET, "hd") == key


async def test_only_services_are_told_sealed_keys(opened, store):
    room, client = opened
    key = await store.key_for(ASSET, "hd")
    path = f"/v1/internal/assets/{ASSET}/keys"
    assert (await client.get(path)).status_code == 403, "not even an operator"
    answer = await client.get(path, headers=as_("service", room.keys, room.clock))
    assert answer.status_code == 200
    assert key.key_id in answer.text
    assert key.key not in answer.text


async def test_a_worker_publishes_encrypted_tracks_whose_keys_are_in_the_store(opened, tiny):
    room, client = opened
    await room.upload(client, tiny, title="Secret")
    async with room.worker(properties=Properties(environment={PROTECTED.variable: "true"})):
        (job,) = await room.ended()
    assert job.state == "done", job.error
    manifest = await room.manifest(room.announced[-1][1])
    store = KeyStore(room.sql, room.keys, room.clock)
    for track in manifest.tracks:
        coded = track.kind in {"video", "audio"}  # subtitles and small pictures stay as they are
        assert track.key_id == ((await store.key_for(manifest.asset, tier_of(track))).key_id if coded else "")
    assert manifest.protection == protection_of(manifest.tracks)
    assert len(manifest.protection.key_ids) == 2
    # Neither the ledger nor what is stored tells a key.
    keys = [bytes.fromhex((await store.key_for(manifest.asset, tier)).key) for tier in ("sd", "audio")]
    async with room.sql.read() as connection:
        results = [row.result for row in (await connection.execute(select(steps))).all()]
    for key in keys:
        assert not any(key in result or key.hex().encode() in result for result in results)
    assert not list((room.directory / "scratch").rglob("*.keys"))


async def test_encryption_repeated_elsewhere_gives_the_same_bytes(opened, tiny, tmp_path):
    room, client = opened
    await room.upload(client, tiny, title="Clear")
    async with room.worker():
        await room.ended()
    made = (await room.manifest(room.announced[-1][1])).tracks
    assert protection_of(made) is None
    clear = tuple(track for track in made if track.kind in {"video", "audio"})
    store = KeyStore(room.sql, room.keys, room.clock)

    async def protect(name):
        scratch = tmp_path / name
        scratch.mkdir()
        ledger = Ledger(room.sql, room.blobs, room.clock)
        encryption = Encryption(name, partial(store.key_for, ASSET), ledger, room.blobs, find_tools(), scratch)
        tracks = await encryption.protect(clear)
        assert not list(scratch.iterdir())
        return tracks

    first = await protect("one")
    assert [track.digest for track in first] == [track.digest for track in await protect("two")]
    for track, before in zip(first, clear, strict=True):
        assert room.blobs.local_path(content_key("media", track.digest)).stat().st_size == track.size
        assert (track.name, track.codec, track.bandwidth >= before.bandwidth) == (before.name, before.codec, True)
    await store.rotate(ASSET)
    assert not {track.digest for track in await protect("three")} & {track.digest for track in first}


def test_the_ring_of_another_region_is_of_no_use(tmp_path):
    assert KeyRing(tmp_path / "a").current("content") != KeyRing(tmp_path / "b").current("content")
