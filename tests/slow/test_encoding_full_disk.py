"""A disk that runs full in the middle of an encode: one sentence, nothing half published, and it can go on."""

import asyncio
import os
import subprocess

import pytest

from kinema.storage.content import content_key
from tests.support.clips import make_clip
from tests.support.services import as_
from tests.unit.encoding.room import open_room

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system"),
]


@pytest.fixture
def small(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine does not let root mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_fails_the_job_and_more_room_finishes_it(small, tmp_path):
    noise = ("-vf", "noise=alls=40:allf=t", "-b:v", "5M", "-maxrate", "5M", "-bufsize", "5M")
    film = make_clip(tmp_path / "film.mp4", seconds=6, size="1280x720", extra=noise)
    async with open_room(small / "data") as (room, client):
        await room.upload(client, film)
        async with room.worker():
            (job,) = await room.ended(200)
        assert job.state == "failed"
        assert "disk" in job.error
        assert "free some space" in job.error
        for _, said in room.announced:
            for track in (await room.manifest(said)).tracks:
                assert await room.blobs.size(content_key("media", track.digest)) == track.size
        big = tmp_path / "big.bin"
        big.write_bytes(os.urandom(14 << 20))
        with pytest.raises(AssertionError, match="507"):
            await room.upload(client, big)

        grown = await asyncio.create_subprocess_exec("mount", "-o", "remount,size=64m", str(small))
        assert await grown.wait() == 0
        client.headers.update(as_("operator", room.keys, room.clock))
        assert (await client.post(f"/v1/jobs/{job.id}/retry")).status_code == 200
        async with room.worker():
            (job,) = await room.ended(200)
        assert (job.state, job.error) == ("done", None)
        assert room.announced[-1][1].complete
