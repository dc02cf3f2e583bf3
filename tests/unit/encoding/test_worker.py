"""From an upload to a playing title, with real encoders."""

import asyncio
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
import sqlalchemy as sa

from kinema.core.errors import Gone, Unavailable
from kinema.core.properties import Properties
from kinema.core.property_scope import Override
from kinema.services.encoding.jobs import PAUSED
from kinema.services.encoding.tables import steps
from kinema.storage.content import content_key
from tests.support import clips
from tests.unit.encoding.room import open_room


async def test_an_upload_becomes_a_title_rung_by_rung(opened, clip):
    room, client = opened
    title_id = await room.upload(client, clip, title="The tone")
    async with room.worker():
        (job,) = await room.ended()
    assert (job.state, job.error, job.progress, job.title) == ("done", None, 1.0, "The tone")
    assert [(rung.name, rung.state) for rung in job.rungs] == [
        ("video-360p", "published"),
        ("video-480p", "published"),
        ("video-240p", "published"),
    ]
    assert [title for title, _ in room.announced] == [title_id] * 3
    said = [publication for _, publication in room.announced]
    assert [each.manifest_version for each in said] == [1, 2, 3]
    assert [each.complete for each in said] == [False, False, True]
    assert [[rung.height for rung in each.rungs] for each in said] == [[360], [360, 480], [240, 360, 480]]
    assert await room.blobs.size(content_key("artwork", said[0].poster)) > 1000

    manifest = await room.manifest(said[-1])
    assert [track.name for track in manifest.tracks] == [
        "video-240p",
        "video-360p",
        "video-480p",
        "audio-und-aac-128k",
        "audio-und-opus-96k",
        "thumbnails-1",
    ]
    for track in manifest.tracks:
        assert await room.blobs.size(content_key("media", track.digest)) == track.size
        assert track.segments[-1].offset + track.segments[-1].length == track.size
        assert track.bandwidth >= track.average_bandwidth > 0
    cuts = {
        tuple(Fraction(segment.duration, track.timescale) for segment in track.segments)
        for track in manifest.tracks
        if track.kind == "video"
    }
    assert cuts == {(4, 4, 1)}
    # Nothing of the way there stays: neither parts nor encoded streams.
    assert await room.keys_under("uploads", "steps") == set()


class WorkerProcess:
    """A real worker that can be killed."""

    def __init__(self, directory):
        self.directory = directory
        command = [sys.executable, "-m", "tests.unit.encoding.work", str(directory)]
        self.process = subprocess.Popen(
            command, cwd=Path(__file__).parents[3], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def encoders(self):
        """Return the ids of ffmpeg processes that it has started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in children.read_text().split()]

    def announced(self):
        return self.directory.joinpath("announced.jsonl").exists()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def alive(pid):
    return Path(f"/proc/{pid}").exists()


async def gone(pids, seconds=5):
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "an encoder outlived its worker"
        await asyncio.sleep(0.02)


async def published_bytes(room, publication):
    manifest = await room.manifest(publication)
    return [(track.name, track.digest) for track in manifest.tracks]


@pytest.mark.timeout(150)
async def test_a_killed_worker_is_continued_and_the_result_is_the_same(opened, tmp_path, clip):
    room, client = opened
    await room.upload(client, clip, title="Undisturbed")
    async with room.worker():
        await room.ended()
    expected = await published_bytes(room, room.announced[-1][1])

    async with open_room(tmp_path / "killed") as (other, its_client):
        await other.upload(its_client, clip, title="Killed")
        worker = WorkerProcess(other.directory)
        try:
            # In the middle of the second rung.
            await other.until(lambda _: worker.announced())
            await other.until(lambda _: worker.encoders())
            encoders = worker.encoders()
        finally:
            worker.kill()
        await gone(encoders)
        first_rung = await steps_of(other, "rung")
        async with other.worker("worker-2"):
            (job,) = await other.ended()
        assert (job.state, job.error) == ("done", None)
        assert await published_bytes(other, other.announced[-1][1]) == expected
        # What was finished was not made again: the row of the first rung is the one that the killed worker wrote.
        assert first_rung.items() <= (await steps_of(other, "rung")).items()
        assert len(first_rung) == 1
        # The new worker tells catalog nothing twice: version 1 was announced by the killed one.
        assert [said.manifest_version for _, said in other.announced] == [2, 3]
        assert not (other.directory / "scratch" / "worker-2").exists()


async def steps_of(room, name):
    """Return when each finished step of this name was written."""
    query = sa.select(steps.c.step_key, steps.c.created_at).where(steps.c.name == name)
    async with room.sql.read() as connection:
        return dict((await connection.execute(query)).all())


async def test_a_hopeless_film_fails_with_a_sentence_and_publishes_nothing(opened, tmp_path):
    room, client = opened
    for make in clips.REFUSED.values():
        path = make(tmp_path / f"{make.__name__}.mp4")
        if path.stat().st_size:
            await room.upload(client, path)
    async with room.worker():
        jobs = await room.ended()
    assert len(jobs) == 3
    for job in jobs:
        assert (job.state, job.step) == ("failed", "failed")
        assert job.error
        assert "\n" not in job.error
    assert not room.announced
    assert await room.keys_under("media", "manifests", "artwork", "steps") == set()


async def test_cancelling_stops_the_encoder_and_keeps_what_is_published(opened, clip):
    room, client = opened
    await room.upload(client, clip)
    async with room.worker():
        (job,) = await room.until(lambda _: room.announced)
        assert (await client.delete(f"/v1/jobs/{job.id}")).status_code == 200
        (job,) = await room.ended(10)
        assert job.state == "cancelled"
        assert len(room.announced) < 3
        # Retried, it goes on where it was.
        assert (await client.post(f"/v1/jobs/{job.id}/retry")).json()["state"] == "queued"
        (job,) = await room.ended()
    assert job.state == "done"
    assert [said.manifest_version for _, said in room.announced] == [1, 2, 3]


class CountedProperties(Properties):
    """Properties that know how often they were read."""

    reads = 0

    def __getitem__(self, wanted):
        self.reads += 1
        return super().__getitem__(wanted)


async def test_a_paused_worker_begins_no_job_until_it_is_let_go_on(opened, tiny):
    room, client = opened
    properties = CountedProperties()
    properties.replace_overrides([Override(PAUSED.name, value=True)])
    await room.upload(client, tiny)
    async with room.worker(properties=properties):
        await room.until(lambda _: properties.reads > 3)
        assert [job.state for job in await room.jobs.page(None, None, 10)] == ["queued"]
        properties.replace_overrides([])
        (job,) = await room.ended()
    assert job.state == "done"


async def test_a_job_pauses_in_the_middle_and_at_its_limit_and_goes_on_where_it_was(opened, clip):
    room, client = opened
    await room.upload(client, clip)
    async with room.worker():
        (job,) = await room.until(lambda jobs: jobs[0].rungs and jobs[0].rungs[0].state == "encoding")
        assert (await client.patch(f"/v1/jobs/{job.id}", json={"paused": True})).status_code == 200
        (job,) = await room.ended(10)
        assert (job.state, job.error) == ("paused", None)
        await client.patch(f"/v1/jobs/{job.id}", json={"paused": False, "most_cpu_seconds": 0.01})
        (job,) = await room.ended(10)
        assert job.state == "paused"
        assert "processor time" in job.error
        assert job.cpu_seconds > 0.01
        await client.patch(f"/v1/jobs/{job.id}", json={"paused": False, "most_cpu_seconds": None})
        (job,) = await room.ended()
    assert (job.state, job.error) == ("done", None)
    assert [said.manifest_version for _, said in room.announced] == [1, 2, 3]


async def test_a_stopped_worker_gives_its_job_back_at_once(opened, clip):
    room, client = opened
    await room.upload(client, clip)
    async with room.worker():
        await room.until(lambda jobs: jobs[0].state == "running")
    (job,) = await room.jobs.page(None, None, 1)
    assert job.state == "queued"


async def test_a_second_film_becomes_playable_before_the_first_is_complete(opened, clip, tiny):
    room, client = opened
    first = await room.upload(client, clip)
    async with room.worker():
        await room.until(lambda jobs: jobs[0].state == "running")
        second = await room.upload(client, tiny)
        await room.ended()
    order = [title for title, _ in room.announced]
    assert order.index(second) < len(order) - 1
    assert order.count(first) == 3


async def test_catalog_being_away_for_a_while_delays_and_loses_nothing(opened, tiny):
    room, client = opened
    refused = []

    async def announce(title_id, publication):
        if len(refused) < 2:
            refused.append(1)
            raise Unavailable("Catalog is away.")
        await room.announce(title_id, publication)

    await room.upload(client, tiny)
    async with room.worker(announce=announce):
        (job,) = await room.ended()
    assert job.state == "done"
    assert len(room.announced) == 1


async def test_a_withdrawn_title_fails_the_job_with_catalogs_sentence(opened, tiny):
    room, client = opened

    async def announce(title_id, publication):
        raise Gone("The title was withdrawn.")

    await room.upload(client, tiny)
    async with room.worker(announce=announce):
        (job,) = await room.ended()
    assert (job.state, job.error) == ("failed", "The title was withdrawn.")


async def test_the_same_film_again_is_published_without_encoding(opened, tiny):
    room, client = opened
    await room.upload(client, tiny)
    async with room.worker():
        await room.ended()
        before = await steps_of(room, "rung")
        await room.upload(client, tiny)
        await room.until(lambda jobs: len(jobs) == 2 and all(job.state == "done" for job in jobs))
    assert await steps_of(room, "rung") == before
    assert len({said.asset for _, said in room.announced}) == 2
