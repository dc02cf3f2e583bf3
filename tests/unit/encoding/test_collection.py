"""Garbage collection: what is needed stays, whatever the moment; the rest goes, and is counted."""

import asyncio
import hashlib
import os
import time

import pytest

from kinema.core.errors import Unavailable
from kinema.model.encoding import decode_manifest
from kinema.services.encoding import uploads as uploads_module
from kinema.services.encoding.sources import assemble, drop_parts
from kinema.services.encoding.tus import Checksum
from kinema.storage.content import content_key, read_all, store
from tests.support.services import as_
from tests.unit.encoding.room import PART, TUS

EVERYTHING = ("media", "manifests", "sources", "steps", "uploads")


async def collect(room, client, age=0):
    client.headers.update(as_("operator", room.keys, room.clock))
    answer = await client.post("/v1/gc", params={"minimum_age_seconds": age})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def published(room, client, path):
    title_id = await room.upload(client, path)
    async with room.worker():
        await room.ended()
    return title_id


async def test_a_complete_title_keeps_its_media_and_its_film_and_no_more(opened, tiny):
    room, client = opened
    await published(room, client, tiny)
    before = await room.keys_under("media", "manifests", "sources")
    manifest = await room.manifest(room.announced[-1][1])
    kept = {content_key("media", track.digest) for track in manifest.tracks}
    found = await collect(room, client)
    assert found["manifests"] == 1  # the quick version, which nobody watches
    after = await room.keys_under(*EVERYTHING)
    assert {key for key in after if key.startswith("media/")} == kept
    assert {key for key in before if key.startswith("sources/")} <= after
    assert set((await collect(room, client)).values()) == {0}
    assert await room.keys_under(*EVERYTHING) == after


async def test_older_versions_go_when_their_last_token_has_expired(opened, tiny):
    room, client = opened
    await published(room, client, tiny)
    asset = room.announced[0][1].asset
    room.leased = [(asset, 1)]
    assert (await collect(room, client))["manifests"] == 0
    assert {f"manifests/{asset}/1.json", f"manifests/{asset}/2.json"} == await room.keys_under("manifests")
    room.leased = []
    assert (await collect(room, client))["manifests"] == 1
    assert await room.keys_under("manifests") == {f"manifests/{asset}/2.json"}
    manifest = decode_manifest(await read_all(room.blobs, f"manifests/{asset}/2.json"))
    assert await room.keys_under("media") == {content_key("media", track.digest) for track in manifest.tracks}


async def test_nothing_of_a_title_that_is_gone_stays(opened, tiny):
    room, client = opened
    await published(room, client, tiny)
    room.announced.clear()
    found = await collect(room, client)
    assert (found["media"], found["manifests"], found["sources"]) == (5, 2, 1)
    assert found["bytes"] > tiny.stat().st_size
    assert await room.keys_under(*EVERYTHING) == set()
    # The film is sent again: nothing of the ledger pretends that its tracks are there.
    await published(room, client, tiny)
    assert len(await room.keys_under("media")) == 5


async def test_orphans_go_and_young_blobs_stay(opened):
    room, client = opened
    for prefix in ("media", "sources", "steps"):
        await store(room.blobs, prefix, os.urandom(100))
    await room.blobs.put("manifests/ast_x/1.json", b"{}")
    await room.blobs.put("uploads/upl_x/0000-wrt_x", b"x")
    assert set((await collect(room, client, 3600)).values()) == {0}
    found = await collect(room, client)
    assert found == {"uploads": 0, "parts": 1, "media": 1, "manifests": 1, "sources": 1, "steps": 1, "bytes": 303}
    assert await room.keys_under(*EVERYTHING) == set()


async def test_work_at_hand_is_left_alone(opened, clip):
    room, client = opened
    await room.upload(client, clip)
    room.announced.clear()
    async with room.worker():
        while not await room.keys_under("manifests"):
            await collect(room, client)
            await room.until(lambda jobs: jobs[0].state == "running")
        await collect(room, client)
        (job,) = await room.ended()
    assert (job.state, job.error) == ("done", None)
    for track in (await room.manifest(room.announced[-1][1])).tracks:
        assert await room.blobs.size(content_key("media", track.digest)) == track.size


async def test_an_upload_in_progress_stays_and_an_abandoned_one_goes(opened):
    room, client = opened
    made = await client.post("/v1/uploads", headers={**TUS, "Upload-Length": "10"})
    await client.patch(made.headers["location"], headers={**PART, "Upload-Offset": "0"}, content=b"12345")
    assert set((await collect(room, client)).values()) == {0}
    room.clock.shift += 25 * 3600
    found = await collect(room, client, 3600)
    assert (found["uploads"], found["bytes"]) == (1, 5)
    assert await room.keys_under("uploads") == set()


async def test_an_upload_whose_job_was_cancelled_before_it_began_goes_after_a_while(opened, tmp_path):
    room, client = opened
    path = tmp_path / "film.mp4"
    path.write_bytes(b"123456789")
    await room.upload(client, path)
    (job,) = await room.jobs.page(None, None, 1)
    assert set((await collect(room, client)).values()) == {0}
    await room.jobs.cancel(job.id)
    assert set((await collect(room, client, 3600)).values()) == {0}
    found = await collect(room, client)
    assert (found["uploads"], found["bytes"]) == (1, 9)
    assert await room.keys_under("uploads") == set()
    assert (await client.post(f"/v1/jobs/{job.id}/retry")).status_code == 410


async def test_what_a_writer_has_not_committed_yet_stays(opened, monkeypatch):
    room, client = opened
    monkeypatch.setattr(uploads_module, "PART_BYTES", 1000)
    film = os.urandom(2000)
    made = await client.post("/v1/uploads", headers={**TUS, "Upload-Length": "2000"})
    upload_id = made.headers["location"].rpartition("/")[2]
    stored, collected = asyncio.Event(), asyncio.Event()

    async def body():
        yield film[:1000]
        stored.set()
        await collected.wait()
        yield film[1000:]

    checksum = Checksum("sha1", hashlib.sha1(film, usedforsecurity=False).digest())
    store = uploads_module.Uploads(room.sql, room.blobs, room.clock, 1 << 30)
    sending = asyncio.create_task(store.append(upload_id, 0, 2000, body(), checksum))
    await stored.wait()
    room.clock.shift += 60  # a lease that was not renewed in time is still the writer's while nobody takes it
    assert (await collect(room, client))["parts"] == 0
    collected.set()
    assert (await sending).offset == 2000
    assert await assemble(room.sql, room.blobs, upload_id) == hashlib.sha256(film).hexdigest()


async def refused(room, client, path):
    """Upload a file that is no film and wait until its job has failed and cleared up behind itself."""
    await room.upload(client, path)
    async with room.worker():
        await room.ended()
        deadline = time.monotonic() + 10
        while left := await room.keys_under(*EVERYTHING):
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.02)


async def test_a_file_that_is_no_good_leaves_nothing(opened, tmp_path):
    room, client = opened
    path = tmp_path / "text.mp4"
    path.write_text("This is no film.")
    await refused(room, client, path)
    (job,) = await room.jobs.page(None, None, 1)
    assert job.state == "failed"
    answer = await client.post(f"/v1/jobs/{job.id}/retry")
    assert answer.status_code == 410
    assert "upload the file again" in answer.json()["detail"]
    await refused(room, client, path)  # the same film again, though the first job had it too


async def claimed(room, client, path, worker):
    """Upload a file and do what a worker does until the film is put together; return the work and the film's digest."""
    await room.upload(client, path)
    work = await room.jobs.claim(worker)
    digest = await assemble(room.sql, room.blobs, work.upload_id)
    await room.jobs.step_finished(work.job_id, worker, source=digest)
    await drop_parts(room.sql, room.blobs, work.upload_id)
    return work, digest


async def test_a_refused_film_stays_while_another_job_needs_it(opened, tmp_path):
    room, client = opened
    path = tmp_path / "film.mp4"
    path.write_bytes(b"123456789")
    first, digest = await claimed(room, client, path, "worker-1")
    second, _ = await claimed(room, client, path, "worker-2")
    assert await room.jobs.refuse(first.job_id, "worker-1", "It is no good.") is None
    await room.upload(client, path)
    joining = await room.jobs.claim("worker-1")
    assert await room.jobs.refuse(second.job_id, "worker-2", "It is no good.") is None
    assert await room.jobs.refuse(joining.job_id, "worker-1", "It is no good.") is None
    last, _ = await claimed(room, client, path, "worker-1")
    assert await room.jobs.refuse(last.job_id, "worker-1", "It is no good.") == digest


async def test_the_film_of_a_job_that_may_be_retried_goes_after_a_while(opened, tmp_path):
    room, client = opened
    path = tmp_path / "film.mp4"
    path.write_bytes(b"123456789")
    work, _ = await claimed(room, client, path, "worker-1")
    await room.jobs.end(work.job_id, "worker-1", "failed", "The disk is full.")
    assert (await collect(room, client, 3600))["sources"] == 0
    assert (await client.post(f"/v1/jobs/{work.job_id}/retry")).status_code == 200
    await room.jobs.cancel(work.job_id)
    assert (await collect(room, client))["sources"] == 1
    (job,) = await room.jobs.page(None, None, 1)
    assert (await client.post(f"/v1/jobs/{job.id}/retry")).status_code == 410


async def test_without_an_answer_of_catalog_nothing_is_deleted(opened, monkeypatch):
    room, client = opened
    await store(room.blobs, "media", b"x")

    async def away(*_, **__):
        raise Unavailable("Catalog is away.")

    monkeypatch.setattr(room, "call", away)
    assert (await client.post("/v1/gc", params={"minimum_age_seconds": 0})).status_code == 503
    assert len(await room.keys_under("media")) == 1


@pytest.mark.parametrize("age", ["-1", "nan", "x"])
async def test_ages_are_numbers_of_seconds(opened, age):
    _, client = opened
    assert (await client.post("/v1/gc", params={"minimum_age_seconds": age})).status_code == 400
