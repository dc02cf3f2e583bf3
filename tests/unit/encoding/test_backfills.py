"""Roll-outs of a codec: which titles, in which order, paused, and taken back by a version of the catalogue."""

import sqlalchemy as sa

from kinema.model.catalog import Publication, RungFact
from kinema.model.encoding import ByteRange, Manifest, Segment, Track, encode_manifest, manifest_key
from kinema.services.encoding.job_rows import new_row
from kinema.services.encoding.tables import jobs, manifests
from kinema.storage.content import content_key, store

H264, AV1 = "avc1.64001e", "av01.0.04M.08"


def ttl(number):
    return f"ttl_{number:026}"


def track(name, codec, digest):
    segment = Segment(offset=100, length=4000, duration=4000, digest=digest)
    ranges = ByteRange(0, 60), ByteRange(60, 40)
    return Track(name, "video", digest, 4100, codec, 9000, 8000, *ranges, 1000, (segment,), 640, 360, "25/1")


async def published(room, number, codecs=(H264,), version=1, **facts):
    """Put a title that is encoded into the room, as its own job left it."""
    asset = f"ast_{number:026}"
    tracks = [track(f"video-{codec[:4]}", codec, await store(room.blobs, "media", codec.encode())) for codec in codecs]
    manifest = Manifest(asset, version, ttl(number), 4.0, 0.0, tuple(tracks))
    await room.blobs.put(manifest_key(asset, version), encode_manifest(manifest))
    film = await store(room.blobs, "sources", f"film {number}".encode())
    row = new_row(ttl(number), "", asset, f"Film {number}", room.clock) | {"state": "done", "source": film}
    listed = "[" + ",".join(f'"{one.digest}"' for one in tracks) + "]"
    made = {"asset": asset, "version": version, "title_id": ttl(number), "tracks": listed, "poster": ""}
    async with room.sql.transaction() as connection:
        if version == 1:
            await connection.execute(sa.insert(jobs).values(row))
        done = {"complete": True, "announced": True, "created_at": room.clock.now()}
        await connection.execute(sa.insert(manifests).values(made | done))
    rungs = tuple(RungFact(one.name, 640, 360, one.codec, 8000) for one in tracks)
    said = Publication(asset, version, facts.get("seconds", 4.0), rungs, facts.get("complete", True), f"Film {number}")
    room.announced.append((ttl(number), said))


async def test_what_is_watched_most_goes_first_and_what_has_the_codec_is_left_alone(opened):
    room, client = opened
    for number in (1, 2, 3):
        await published(room, number)
    await published(room, 4, codecs=(H264, AV1))
    await published(room, 5, complete=False)
    room.plays = {ttl(2): 7, ttl(3): 1}
    answer = await client.post("/v1/backfills", json={"codec": "av1"})
    assert answer.status_code == 201, answer.text
    begun = answer.json()
    assert (begun["state"], begun["titles"], begun["done"], begun["catalog_version"]) == ("running", 3, 0, 5)
    order = [await room.jobs.claim(worker) for worker in "abc"]
    assert [work.title_id for work in order] == [ttl(2), ttl(3), ttl(1)]
    assert {(work.codec, work.asset[:4]) for work in order} == {("av1", "ast_")}
    assert (await client.post("/v1/backfills", json={"codec": "av1"})).status_code == 409
    assert (await client.post("/v1/backfills", json={"codec": "hevc", "title_ids": [ttl(9)]})).status_code == 400
    assert (await client.post("/v1/backfills", json={"codec": "mpeg2"})).status_code == 400


async def test_only_titles_that_are_worth_it(opened):
    room, client = opened
    for number in (1, 2):
        await published(room, number, seconds=3600.0)
    room.plays = {ttl(2): 40_000_000}
    answer = await client.post("/v1/backfills", json={"codec": "av1", "worthwhile": True})
    assert answer.json()["titles"] == 1
    assert (await room.jobs.claim("a")).title_id == ttl(2)


async def test_a_backfill_pauses_goes_on_and_gives_way_to_uploads(opened):
    room, client = opened
    for number in (1, 2):
        await published(room, number)
    begun = (await client.post("/v1/backfills", json={"codec": "av1"})).json()
    running = await room.jobs.claim("a")
    path = f"/v1/backfills/{begun['id']}"
    await client.patch(path, json={"paused": True})
    assert await room.jobs.claim("b") is None
    await room.jobs.pause(running.job_id, "a")
    assert (await client.get("/v1/backfills")).json()["backfills"][0]["state"] == "paused"
    assert (await client.patch(path, json={"paused": False})).json()["state"] == "running"
    assert (await room.jobs.claim("b")).codec == "av1"
    assert (await client.patch(path, json={"pause": 1})).status_code == 400
    assert (
        await client.patch("/v1/backfills/bfl_00000000000000000000000000", json={"paused": True})
    ).status_code == 404


async def test_a_backfill_is_rolled_back_to_what_the_catalogue_had_before_it(opened):
    room, client = opened
    for number in (1, 2):
        await published(room, number)
    begun = (await client.post("/v1/backfills", json={"codec": "av1"})).json()
    done = await room.jobs.claim("a")
    number = int(done.title_id[4:])
    await published(room, number, codecs=(H264, AV1), version=2)
    await room.jobs.end(done.job_id, "a", "done")

    path = f"/v1/backfills/{begun['id']}/rollback"
    assert (await client.post(path, json={})).json() == {"titles": 1, "cancelled": 1}
    title_id, said = room.announced[-1]
    assert (title_id, said.manifest_version, [rung.codec for rung in said.rungs]) == (done.title_id, 3, [H264])
    manifest = await room.manifest(said)
    assert [one.codec for one in manifest.tracks] == [H264]
    assert await room.blobs.size(content_key("media", manifest.tracks[0].digest))
    # Repeated, it is what it was.
    assert (await client.post(path, json={})).json() == {"titles": 1, "cancelled": 0}
    assert room.announced[-1] == (title_id, said)
    assert (await client.get("/v1/backfills")).json()["backfills"][0]["state"] == "rolled back"
