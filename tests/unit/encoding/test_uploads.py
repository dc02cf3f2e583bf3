"""Resumable uploads: what the offset says has arrived is there, whoever dies."""

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiosqlite
import httpx
import pytest

from kinema.core.keys import KeyRing
from kinema.services.encoding import uploads as uploads_module
from kinema.services.encoding.sources import assemble
from kinema.storage.content import content_key, read_all
from tests.support.services import ShiftedClock, as_
from tests.unit.encoding.room import PART, TUS, metadata, open_room


async def create(client, length, **facts):
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(**facts or {"filename": "film.mp4"})}
    made = await client.post("/v1/uploads", headers=headers)
    assert made.status_code == 201, made.text
    return made.headers["location"]


async def offset_of(client, location):
    answer = await client.head(location, headers=TUS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def send(client, location, offset, body, **headers):
    return client.patch(location, headers={**PART, "Upload-Offset": str(offset), **headers}, content=body)


async def test_the_server_describes_itself(opened):
    _, client = opened
    answer = await client.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {"creation", "termination", "checksum", "expiration"}
    assert answer.headers["tus-max-size"] == str(1 << 30)


async def test_parts_in_any_number_make_the_film_and_queue_one_job(opened, monkeypatch):
    room, client = opened
    monkeypatch.setattr(uploads_module, "PART_BYTES", 1000)
    body = os.urandom(5500)
    location = await create(client, len(body), title='A "quoted"\nname', filename="x.mp4")
    assert await offset_of(client, location) == 0
    for start, end in ((0, 1), (1, 3700), (3700, 5500)):
        assert not await room.jobs.page(None, None, 10)
        answer = await send(client, location, start, body[start:end])
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(end))
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert "upload-expires" in answer.headers
    (job,) = await room.jobs.page(None, None, 10)
    assert (job.title, job.state) == ('A "quoted" name', "queued")
    digest = await assemble(room.sql, room.blobs, job.upload_id)
    assert await read_all(room.blobs, content_key("sources", digest)) == body
    assert digest == hashlib.sha256(body).hexdigest()


async def test_a_title_can_be_named_and_is_told(opened):
    _, client = opened
    title_id = "ttl_" + "0" * 26
    location = await create(client, 3, filename="x.mp4", title_id=title_id)
    answer = await client.head(location, headers=TUS)
    assert answer.headers["kinema-title-id"] == title_id
    bad = {**TUS, "Upload-Length": "3", "Upload-Metadata": metadata(title_id="../x")}
    assert (await client.post("/v1/uploads", headers=bad)).status_code == 400


async def test_the_wrong_offset_is_a_conflict_and_changes_nothing(opened):
    _, client = opened
    location = await create(client, 10)
    assert (await send(client, location, 0, b"12345")).status_code == 204
    for offset in (0, 4, 6):
        answer = await send(client, location, offset, b"x")
        assert answer.status_code == 409
        assert "byte 5" in answer.json()["detail"]
    assert await offset_of(client, location) == 5


async def test_more_bytes_than_announced_are_refused(opened):
    _, client = opened
    location = await create(client, 4)
    assert (await send(client, location, 0, b"12345")).status_code == 413

    async def endless():
        for _ in range(1000):
            yield b"x" * 10

    assert (await send(client, location, 0, endless())).status_code == 413
    assert await offset_of(client, location) == 0


async def test_sizes_out_of_range_are_refused_in_one_sentence(tmp_path):
    async with open_room(tmp_path, limit=100) as (_, client):
        large = await client.post("/v1/uploads", headers={**TUS, "Upload-Length": "101"})
        assert (large.status_code, large.json()["type"]) == (413, "urn:kinema:problem:too-large")
        assert "at most 100" in large.json()["detail"]
        empty = await client.post("/v1/uploads", headers={**TUS, "Upload-Length": "0"})
        assert empty.status_code == 400
        assert "0 bytes" in empty.json()["detail"]
        missing = await client.post("/v1/uploads", headers=TUS)
        assert missing.status_code == 400


async def test_a_checksum_decides_over_the_whole_request(opened, monkeypatch):
    room, client = opened
    monkeypatch.setattr(uploads_module, "PART_BYTES", 4)
    location = await create(client, 20)
    for algorithm in ("sha1", "sha256"):
        wrong = f"{algorithm} {base64.b64encode(b'wrong').decode()}"
        answer = await send(client, location, 0, b"0123456789", **{"Upload-Checksum": wrong})
        assert answer.status_code == 460
        assert await offset_of(client, location) == 0
    assert await room.keys_under("uploads") == set()
    right = base64.b64encode(hashlib.sha256(b"0123456789").digest()).decode()
    assert (await send(client, location, 0, b"0123456789", **{"Upload-Checksum": f"sha256 {right}"})).status_code == 204
    assert await offset_of(client, location) == 10


async def test_a_broken_connection_keeps_what_came(opened):
    _, client = opened
    location = await create(client, 100)

    async def breaks():
        yield b"x" * 30
        raise ConnectionResetError

    assert (await send(client, location, 0, breaks())).status_code == 500
    assert await offset_of(client, location) == 30
    assert (await send(client, location, 30, b"y" * 70)).status_code == 204


async def test_a_commit_whose_answer_was_cut_off_keeps_its_parts(opened, monkeypatch):
    room, client = opened
    monkeypatch.setattr(uploads_module, "PART_BYTES", 1000)
    location = await create(client, 5000)
    upload_id = location.rpartition("/")[2]
    committed, cutting = asyncio.Event(), False
    commit = aiosqlite.Connection.commit

    async def commit_and_be_silent(connection):
        await commit(connection)
        if cutting:
            committed.set()
            await asyncio.Event().wait()

    async def body():
        nonlocal cutting
        yield b"a" * 1000
        cutting = True
        yield b"b" * 1000

    monkeypatch.setattr(aiosqlite.Connection, "commit", commit_and_be_silent)
    store = uploads_module.Uploads(room.sql, room.blobs, room.clock, 1 << 30)
    sending = asyncio.create_task(store.append(upload_id, 0, None, body(), None))
    await committed.wait()
    cutting = False
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert await offset_of(client, location) == 2000
    assert len(await room.keys_under("uploads")) == 2
    assert (await send(client, location, 2000, b"c" * 3000)).status_code == 204
    digest = await assemble(room.sql, room.blobs, upload_id)
    assert await read_all(room.blobs, content_key("sources", digest)) == b"a" * 1000 + b"b" * 1000 + b"c" * 3000


async def test_one_writer_at_a_time_and_a_dead_one_is_forgotten_soon(opened):
    room, client = opened
    location = await create(client, 100)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        yield b"x" * 10
        begun.set()
        await go_on.wait()
        yield b"y" * 90

    first = asyncio.create_task(send(client, location, 0, slow()))
    await begun.wait()
    assert (await send(client, location, 0, b"z" * 100)).status_code == 409
    # The first falls silent for longer than its lease: another request may take over, and the first one's bytes are void.
    room.clock.shift += 10
    client.headers.update(as_("operator", room.keys, room.clock))
    assert (await send(client, location, 0, b"z" * 50)).status_code == 204
    go_on.set()
    assert (await first).status_code == 409
    assert await offset_of(client, location) == 50


async def test_an_upload_can_be_given_up(opened):
    room, client = opened
    location = await create(client, 10)
    await send(client, location, 0, b"12345")
    assert await room.keys_under("uploads")
    assert (await client.delete(location, headers=TUS)).status_code == 204
    assert (await client.head(location, headers=TUS)).status_code == 404
    assert await room.keys_under("uploads") == set()


async def test_a_complete_upload_belongs_to_its_job(opened):
    _, client = opened
    location = await create(client, 3)
    await send(client, location, 0, b"123")
    assert (await client.delete(location, headers=TUS)).status_code == 409
    assert await offset_of(client, location) == 3


async def test_a_repeated_key_finds_the_same_upload(opened):
    _, client = opened
    film = {**TUS, "Upload-Length": "3", "Upload-Metadata": metadata(title="One"), "Idempotency-Key": "k-1"}
    first = await client.post("/v1/uploads", headers=film)
    await send(client, first.headers["location"], 0, b"12")
    again = await client.post("/v1/uploads", headers=film)
    assert again.status_code == 201
    for name in ("location", "kinema-title-id"):
        assert again.headers[name] == first.headers[name]
    assert await offset_of(client, again.headers["location"]) == 2
    other = await client.post("/v1/uploads", headers={**film, "Idempotency-Key": "k-2"})
    assert other.headers["location"] != first.headers["location"]
    assert (await client.post("/v1/uploads", headers={**film, "Upload-Length": "4"})).status_code == 409
    assert (await client.post("/v1/uploads", headers={**film, "Idempotency-Key": "k" * 129})).status_code == 400


async def test_post_can_stand_for_patch_and_delete(opened):
    _, client = opened
    location = await create(client, 10)
    patching = {**PART, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    answer = await client.post(location, headers=patching, content=b"12345")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "5")
    assert (await client.post(location, headers=TUS)).status_code == 400
    assert (await client.post(location, headers={**TUS, "X-HTTP-Method-Override": "DELETE"})).status_code == 204
    assert (await client.head(location, headers=TUS)).status_code == 404


async def test_an_abandoned_upload_expires(opened):
    room, client = opened
    location = await create(client, 10)
    room.clock.shift += 25 * 3600
    client.headers.update(as_("operator", room.keys, room.clock))
    assert (await client.head(location, headers=TUS)).status_code == 410


async def test_who_may_upload(opened):
    room, client = opened
    headers = {**TUS, "Upload-Length": "3"}
    viewer = as_("viewer", room.keys, room.clock)
    assert (await client.post("/v1/uploads", headers={**headers, **viewer})).status_code == 403
    client.headers.pop("x-kinema-identity")
    assert (await client.post("/v1/uploads", headers=headers)).status_code == 401


async def test_the_protocol_is_spoken_strictly(opened):
    _, client = opened
    answer = await client.post("/v1/uploads", headers={"Upload-Length": "3"})
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
    location = await create(client, 3)
    wrong_type = await client.patch(location, headers={**TUS, "Upload-Offset": "0"}, content=b"123")
    assert wrong_type.status_code == 415
    assert (await client.head("/v1/uploads/nonsense", headers=TUS)).status_code == 400


class Instance:
    """A real process that serves the encoding API."""

    def __init__(self, directory):
        command = [sys.executable, "-m", "tests.unit.encoding.serve", str(directory)]
        root = Path(__file__).parents[3]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the instance did not start"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


async def test_a_killed_instance_loses_no_committed_byte_and_another_goes_on(tmp_path):
    body = os.urandom(20 << 20)
    keys, clock = KeyRing(tmp_path), ShiftedClock()
    first, second = Instance(tmp_path), Instance(tmp_path)
    sent = 0

    async def committed_somewhere():
        async with httpx.AsyncClient(headers=identity, base_url=second.address) as client:
            while not await offset_of(client, location):  # noqa: ASYNC110 -- it waits for another process
                await asyncio.sleep(0.05)

    async def dribble():
        nonlocal sent
        while sent < len(body):
            yield body[sent : sent + (64 << 10)]
            sent += 64 << 10
            if sent == 18 << 20:
                await committed_somewhere()
                first.kill()
                return

    identity = as_("operator", keys, clock)
    try:
        async with httpx.AsyncClient(headers=identity, base_url=first.address) as client:
            location = await create(client, len(body))
            with pytest.raises(httpx.TransportError):
                await send(client, location, 0, dribble())
        async with httpx.AsyncClient(headers=identity, base_url=second.address, timeout=30) as client:
            offset = await offset_of(client, location)
            assert offset in {8 << 20, 16 << 20}
            deadline = time.monotonic() + 10
            while (answer := await send(client, location, offset, body[offset:])).status_code == 409:
                assert time.monotonic() < deadline, "the dead writer still holds the upload"
                await asyncio.sleep(0.1)
            assert answer.status_code == 204
            (job,) = (await client.get("/v1/jobs")).json()["jobs"]
    finally:
        for instance in (first, second):
            if instance.process.returncode is None:
                instance.kill()
    async with open_room(tmp_path) as (room, _):
        digest = await assemble(room.sql, room.blobs, job["upload_id"])
        assert digest == hashlib.sha256(body).hexdigest()
