"""A region's end: by Ctrl-C, by a killed supervisor, and what the next start makes of it."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.clips import make_clip
from tests.support.regions import wait_until

pytestmark = pytest.mark.timeout(240)

END_SECONDS = 5.0


def is_published(region, title_id):
    return region.ask_patiently("GET", f"/v1/titles/{title_id}").status == 200


def has_encoder(region):
    for pid in region.processes_left():
        try:
            if b"ffmpeg" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
                return True
        except OSError:
            continue
    return False


def test_a_killed_supervisor_takes_everything_along_and_the_next_start_goes_on(own_region, tmp_path):
    own_region.start()
    film = make_clip(tmp_path / "long.mp4", seconds=16, size="1280x720")
    done = own_region.kinema("add", str(film), "--title", "Interrupted", "--json")
    assert done.returncode == 0, done.stderr
    title_id = json.loads(done.stdout.splitlines()[-1])["title_id"]
    wait_until(lambda: has_encoder(own_region), 30, "an encoder at work")
    own_region.kill_supervisor()
    wait_until(lambda: not own_region.processes_left(), END_SECONDS, "the end of every process")

    own_region.start()
    wait_until(lambda: is_published(own_region, title_id), 120, "the interrupted film")
    wait_until(lambda: own_region.status()["state"] == "ready", 10, "a ready region")

    assert own_region.interrupt() < END_SECONDS
    assert own_region.processes_left() == []
    assert not (own_region.data_dir / "run" / "region.json").exists()


def test_a_second_interrupt_ends_everything_at_once(own_region):
    own_region.start()
    os.kill(own_region.pid("edge-1"), signal.SIGSTOP)  # it will not answer SIGTERM
    own_region._process.send_signal(signal.SIGINT)
    own_region._process.send_signal(signal.SIGINT)
    own_region._process.wait(timeout=END_SECONDS)
    wait_until(lambda: not own_region.processes_left(), 1.0, "the end of every process")


def test_a_second_region_on_the_same_directory_is_refused_in_one_sentence(region):
    done = region.kinema("up", "--port", "1", timeout=30)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"kinema: Another region runs on {region.data_dir}; stop it first or name another directory with --data."
    ]


def test_a_taken_port_is_refused_in_one_sentence(region, own_region):
    done = own_region.kinema("up", "--port", str(region.port), timeout=30)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"kinema: Port {region.port} for the gateway is taken by another program; stop that one or choose another with --port."
    ]
    assert own_region.processes_left() == []


@pytest.mark.slow
def test_a_region_that_cannot_start_ends_in_one_sentence_instead_of_waiting_for_ever(own_region):
    own_region.data_dir.mkdir()
    (own_region.data_dir / "kinema.toml").write_text('blobs_url = "ftp://nowhere"')
    done = own_region.kinema("up", "--port", str(own_region.port), timeout=200)
    assert done.returncode == 1
    assert "blobs_url begins with 'ftp'" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("kinema: The region cannot start: ")
    assert own_region.processes_left() == []
