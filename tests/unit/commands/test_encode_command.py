"""`kinema encode` makes a film in a directory, says why, and goes on where it was."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kinema.model.encoding import decode_manifest
from kinema.services.encoding.tools import find_tools
from tests.support.clips import make_clip


def run_encode(*arguments, code=0):
    command = [Path(sys.executable).with_name("kinema"), "encode", *map(str, arguments)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == code, ended.stderr
    return ended


def lines(ended):
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.timeout(180)
def test_a_film_is_planned_made_and_found_again(tmp_path):
    film = make_clip(tmp_path / "film.mp4", seconds=3, size="192x108", rate="12")
    planned = run_encode(film, "-o", tmp_path / "made", "--plan").stdout
    assert "36 pictures at 12/1: 1 shots, 1 segments." in planned
    assert "In all about" in planned
    assert not list(tmp_path.glob("made/*.mp4"))

    first = lines(run_encode(film, "-o", tmp_path / "made", "--json"))
    manifest = decode_manifest((tmp_path / "made" / "manifest.json").read_bytes())
    assert {track.kind for track in manifest.tracks} == {"video", "audio"}
    for track in manifest.tracks:
        made = tmp_path / "made" / f"{track.name}.mp4"
        assert made.stat().st_size == track.size
        subprocess.run([find_tools().ffmpeg, "-v", "error", "-xerror", "-i", made, "-f", "null", "-"], check=True)
    rungs = [track for track in manifest.tracks if track.kind == "video"]
    assert all(segment.vmaf > 20 for track in rungs for segment in track.segments)
    assert first[-1]["made"] > 0

    again = lines(run_encode(film, "-o", tmp_path / "made", "--json"))
    assert (again[-1]["made"], again[-1]["found"]) == (0, first[-1]["made"] + first[-1]["found"])
    assert {line["event"] for line in again if "step" in line} == {"found"}


def test_what_cannot_be_encoded_is_refused_in_a_sentence(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("This is not a film. " * 100)
    assert "not a film" in run_encode(text, "-o", tmp_path / "made", code=1).stderr
    missing = run_encode(tmp_path / "nothing.mp4", "-o", tmp_path / "made", code=1).stderr
    assert "There is no file" in missing
    assert "Traceback" not in missing
    film = make_clip(tmp_path / "film.mp4", seconds=1, size="192x108")
    assert "no codec 'h263'" in run_encode(film, "-o", tmp_path / "made", "--codec", "h263", code=1).stderr
