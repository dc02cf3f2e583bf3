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
from kinema.model.catalog import Recall
from kinema.services.encoding.jobs import PAUSED
from kinema.services.encoding.tables import steps
from kinema.storage.content import content_key
from tests.support import clips
from tests.unit.encoding.room import open_room


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Four seconds of 240 lines with a cut in the middle and noise, which no low rate can hold."""
    noise = ("-vf", "negate=enable='gte(t,2)',noise=alls=50:allf=t:all_seed=7")
    return clips.make_clip(tmp_path_factory.mktemp("clip") / "noise.mp4", seconds=4, size="426x240", extra=noise)


async def test_an_upload_plays_quickly_and_then_gets_the_ladder_that_it_deserves(opened, clip):
    room, client = opened
    title_id = await room.upload(client, clip, title="The tone")
    async with room.worker():
        (job,) = await room.ended()
    assert (job.state, job.error, job.progress, job.title) == ("done", None, 1.0, "The tone")
    assert {rung.state for rung in job.rungs} == {"published"}
    assert {title for title, _ in room.announced} == {title_id}
    said = [publication for _, publication in room.announced]
    assert [each.manifest_version for each in said] == list(range(1, len(said) + 1))
    assert [rung.name for rung in said[0].rungs] == ["video-240p"]
    assert [each.complete for each in said] == [*[False] * (len(said) - 1), True]
    assert len(said[-1].rungs) >= 2
    assert len(job.rungs) == 1 + len(said[-1].rungs)
    assert await room.blobs.size(content_key("artwork", said[0].poster)) > 1000

    quick, manifest = await room.manifest(said[0]), await room.manifest(said[-1])
    assert [track.name for track in quick.tracks] == ["video-240p", "audio-und-aac-128k", "thumbnails-1"]
    assert [track.name for track in manifest.tracks if track.kind != "video"] == [
        "audio-und-aac-128k",
        "audio-und-opus-96k",
        "thumbnails-1",
    ]
    for track in manifest.tracks:
        assert await room.blobs.size(content_key("media", track.digest)) == track.size
        assert track.segments[-1].offset + track.segments[-1].length == track.size
        assert track.bandwidth >= track.average_bandwidth > 0
    videos = [track for track in manifest.tracks if track.kind == "video"]
    cuts = {tuple(Fraction(segment.duration, track.timescale) for segment in track.segments) for track in videos}
    assert cuts == {(2, 2)}  # at the cut, in all rungs
    rates = [track.average_bandwidth for track in videos]
    assert rates == sorted(rates)
    assert manifest.quality_model == "vmaf-v0.6.1-phone"
    assert all(segment.vmaf > 0 for track in videos for segment in track.segments)
    # Nothing of the way there stays: neither parts nor encoded streams.
    assert await room.keys_under("uploads", "steps") == set()

    report = (await client.get(f"/v1/reports/{title_id}")).json()
    assert (report["version"], report["title"], len(report["shots"])) == (len(said), "The tone", 2)
    assert {rung["name"] for rung in report["rungs"]} == {rung.name for rung in said[-1].rungs}
    assert len(report["probes"]) == 3
    assert len(report["hull"]) >= 2
    for rung in report["rungs"]:
        assert abs(rung["vmaf"] - rung["planned_vmaf"]) < 10
        assert rung["reason"]
    assert {cost["kind"] for cost in report["costs"]} == {"probe", "encode-chunk"}
    assert report["cpu_seconds"] >= sum(cost["cpu_seconds"] for cost in report["costs"]) > 0


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
            # While the ladder is planned or made.
            await other.until(lambda _: worker.announced())
            await other.until(lambda _: worker.encoders())
            encoders = worker.encoders()
        finally:
            worker.kill()
        await gone(encoders)
        first_rung = await steps_of(other, "packaged")
        async with other.worker("worker-2"):
            (job,) = await other.ended()
        assert (job.state, job.error) == ("done", None)
        assert await published_bytes(other, other.announced[-1][1]) == expected
        # What was finished was not made again: the row of the first rung is the one that the killed worker wrote.
        assert first_rung.items() <= (await steps_of(other, "packaged")).items()
        assert len(first_rung) >= 1
        # The new worker tells catalog nothing twice: version 1 was announced by the killed one.
        assert other.announced[0][1].manifest_version == 2
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
        assert not room.announced[-1][1].complete
        # Retried, it goes on where it was.
        assert (await client.post(f"/v1/jobs/{job.id}/retry")).json()["state"] == "queued"
        (job,) = await room.ended()
    assert job.state == "done"
    assert room.announced[-1][1].complete


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
    assert room.announced[-1][1].complete


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
    assert order.count(first) >= 2
    assert order.index(second) < len(order) - 1 - order[::-1].index(first)


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
    assert [said.manifest_version for _, said in room.announced] == [1, 2]


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
        before = await steps_of(room, "packaged")
        await room.upload(client, tiny)
        await room.until(lambda jobs: len(jobs) == 2 and all(job.state == "done" for job in jobs))
    assert await steps_of(room, "packaged") == before
    assert len({said.asset for _, said in room.announced}) == 2


async def test_a_backfill_adds_a_codec_in_the_same_segments_and_says_what_it_saves(opened, clip):
    room, client = opened
    title_id = await room.upload(client, clip)
    async with room.worker():
        await room.ended()
        before = await room.manifest(room.announced[-1][1])
        begun = (await client.post("/v1/backfills", json={"codec": "av1"})).json()
        await room.ended()
    (backfill,) = (await client.get("/v1/backfills")).json()["backfills"]
    assert (backfill["id"], backfill["state"], backfill["done"]) == (begun["id"], "done", 1), await room.jobs.page(
        None, None, 9
    )
    said = room.announced[-1][1]
    assert (said.asset, said.manifest_version, said.complete) == (before.asset, before.version + 1, True)
    after = await room.manifest(said)
    assert after.tracks[: len(before.tracks)] == before.tracks
    added = after.tracks[len(before.tracks) :]
    assert added
    assert {track.codec.partition(".")[0] for track in added} == {"av01"}
    cuts = {
        tuple(Fraction(segment.duration, track.timescale) for segment in track.segments)
        for track in after.tracks
        if track.kind == "video"
    }
    assert len(cuts) == 1
    assert backfill["before_bytes"] == sum(track.size for track in before.tracks if track.kind == "video")
    assert backfill["cpu_seconds"] > 0
    report = (await client.get(f"/v1/reports/{title_id}")).json()
    assert {rung["codec"].partition(".")[0] for rung in report["rungs"]} == {"avc1", "av01"}


async def test_a_film_that_turns_out_to_be_faulty_is_taken_back_with_the_reason(opened, tiny, monkeypatch):
    from kinema.services.encoding.flow import making

    monkeypatch.setattr(making, "_WORST_SURPRISE", -100.0)  # no rung can look that good
    room, client = opened
    title_id = await room.upload(client, tiny)
    async with room.worker():
        (job,) = await room.ended()
    assert job.state == "failed"
    assert "VMAF" in job.error
    assert [said.manifest_version for _, said in room.announced] == [1]
    asset = room.announced[0][1].asset
    assert room.recalled == [(title_id, Recall(asset, 1, job.error))]
