"""The verbs that speak to a running region."""

import json
import os
import subprocess

import pytest

from kinema.cluster.inside import Inside
from kinema.commands.tus import PART_BYTES, TusClient
from tests.support.clips import text_as_film
from tests.support.regions import KINEMA, wait_until

pytestmark = pytest.mark.timeout(240)  # the first to ask makes the shared region and its film


class Cut(Exception):
    """The line goes dead."""


def test_an_upload_that_was_cut_goes_on_where_it_stopped(region, tmp_path):
    file = tmp_path / "large.mp4"
    file.write_bytes(os.urandom(2 * PART_BYTES + 1000))

    def cut(arrived):
        if arrived:
            raise Cut

    with pytest.raises(Cut):
        TusClient(region.url, region.token, file, tmp_path, cut).run("Cut")
    heard = []
    upload = TusClient(region.url, region.token, file, tmp_path, heard.append).run("Cut")
    assert heard == [PART_BYTES, 2 * PART_BYTES, file.stat().st_size]
    assert upload.title_id.startswith("ttl_")
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_file_that_is_no_film_ends_in_one_sentence(region, tmp_path):
    done = region.kinema("add", str(text_as_film(tmp_path / "text.mp4")), "--title", "Text", "--wait", "--json")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["state"], last["rungs"]) == ("failed", [])
    assert set(last) == {"title_id", "state", "rungs", "seconds"}


def test_add_works_from_afar_with_a_token(region, tmp_path):
    clip = tmp_path / "far.mp4"
    clip.write_bytes(b"\0" * 1000)
    environment = {**os.environ, "KINEMA_TOKEN": region.token, "KINEMA_DATA": str(tmp_path / "elsewhere")}
    command = [str(KINEMA), "add", str(clip), "--title", "Far", "--json", "--url", region.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "uploaded"


def test_status_shows_processes_instances_and_jobs(region_with_film):
    told = region_with_film.status()
    assert told["state"] == "ready"
    assert {"cell-1", "gateway-1", "edge-1", "worker-1"} <= {process["name"] for process in told["processes"]}
    assert {"discovery", "members", "catalog", "playback", "encoding", "gateway", "edge"} <= set(told["services"])
    assert any(job["title_id"] == region_with_film.film for job in told["jobs"])


def test_gc_says_what_it_deleted_and_films_go_on_playing(region_with_film):
    done = region_with_film.kinema("gc", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"playback", "catalog", "encoding"}
    answer = region_with_film.ask("GET", f"/v1/titles/{region_with_film.film}")
    assert answer.status == 200


def test_the_catalogue_is_pinned_and_let_go(region_with_film):
    version = region_with_film.ask("GET", "/v1/catalog/version").json()["version"]
    assert region_with_film.kinema("catalog", "pin", str(version)).returncode == 0
    assert region_with_film.kinema("catalog", "pin", "latest").returncode == 0
    unknown = region_with_film.kinema("catalog", "pin", "999999")
    assert unknown.returncode == 1
    assert len(unknown.stderr.strip().splitlines()) == 1


def test_region_json_is_for_its_owner_alone(region):
    assert (region.data_dir / "run" / "region.json").stat().st_mode & 0o777 == 0o600


def test_a_service_alone_joins_the_region_and_leaves_it(region):
    command = [str(KINEMA), "serve", "playback", "--number", "7", "--data", str(region.data_dir)]
    alone = subprocess.Popen(command)

    def joined():
        return "playback-7" in [instance.instance for instance in Inside(region.data_dir).of("playback")]

    try:
        wait_until(joined, 60, "the seventh playback")
        alone.terminate()
        assert alone.wait(timeout=10) == 0
        wait_until(lambda: not joined(), 5, "its signing off")
    finally:
        alone.kill()


def test_a_property_is_set_shown_and_rolled_back_by_commands(region):
    def run(*arguments):
        done = region.kinema("property", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("set", "log.level", "warning", "--instance", "worker-1", "--minutes", "30", "--reason", "quiet")
    assert "warning (worker-1)" in run("list")
    assert "warning for worker-1 until" in run("get", "log.level")
    newest = json.loads(run("audit", "log.level", "--limit", "1", "--json"))["entries"][0]
    assert (newest["new"]["value"], newest["reason"]) == ("warning", "quiet")
    assert json.loads(run("rollback", str(newest["entry"]), "--json"))["overrides"] == []
    refused = region.kinema("property", "set", "log.level", "loud")
    assert (refused.returncode, "cannot be 'loud'; allowed is one of debug" in refused.stderr) == (1, True)
