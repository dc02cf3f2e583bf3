"""Awkward files and names through a whole region: refused in one sentence, or made into a film that plays."""

import json
import re

import pytest

from tests.support.clips import ACCEPTED, REFUSED, ffmpeg, make_clip

pytestmark = pytest.mark.timeout(150)


def blobs(region):
    """Return the blobs that belong to films, whatever stands in the catalogue."""
    root = region.data_dir / "blobs"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.parts[-3] != "snapshots"}


def titles(region):
    return {one["title"] for one in region.ask("GET", "/v1/titles?limit=100").json()["titles"]}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_no_film_leaves_a_sentence_and_nothing_else(region, tmp_path, kind):
    before = blobs(region)
    broken = REFUSED[kind](tmp_path / "broken.mp4")
    done = region.kinema("add", str(broken), "--title", f"Broken {kind}", "--wait", "--json")
    assert done.returncode != 0
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["state"], last["rungs"]) == ("failed", [])
    assert re.fullmatch(r"kinema: [^\n]+\.\n", done.stderr)
    assert region.kinema("gc").returncode == 0
    assert blobs(region) == before
    assert f"Broken {kind}" not in titles(region)


@pytest.mark.parametrize("kind", ACCEPTED)
def test_an_unusual_film_plays_to_its_end(region, tmp_path, kind):
    title_id = region.add(ACCEPTED[kind](tmp_path / "odd.mp4"), f"Unusual {kind}")
    answer = region.ask(
        "POST", "/v1/plays", json.dumps({"title_id": title_id}).encode(), content_type="application/json"
    )
    assert answer.status == 201
    for address in answer.json()["manifest"].values():
        decoded = tmp_path / "decoded.mkv"
        ffmpeg("-xerror", "-i", address, "-map", "0:v:0", "-c:v", "ffv1", str(decoded))
        assert decoded.stat().st_size > 0


def test_a_name_with_quotes_and_line_breaks_is_one_line(region, tmp_path):
    clip = make_clip(tmp_path / 'a "film"\nwith\tbreaks.mp4', seconds=2, size="320x180")
    title_id = region.add(clip, 'Say "cheese"\n<b>& more</b>\t…')
    assert region.ask("GET", f"/v1/titles/{title_id}").json()["title"] == 'Say "cheese" <b>& more</b> …'


def test_an_upload_over_the_limit_is_refused_before_it_is_sent(own_region, tmp_path):
    own_region.data_dir.mkdir()
    (own_region.data_dir / "kinema.toml").write_text("upload_limit_bytes = 100000\n")
    own_region.start()
    clip = make_clip(tmp_path / "large.mp4")
    done = own_region.kinema("add", str(clip), "--title", "Large", "--wait", "--json")
    assert done.returncode != 0
    assert "100" in done.stderr
    assert done.stderr.count("\n") == 1
