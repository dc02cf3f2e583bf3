"""Rendering through a real ffmpeg: a playable file that appears whole, is made once, and leaves nothing when stopped."""

import subprocess
import threading

import msgspec
import numpy as np
import pytest

from kinema.demo import render as rendering
from kinema.demo.ffmpeg import ffmpeg
from kinema.demo.film import Cue
from kinema.demo.films import film
from kinema.demo.lettering import Ink
from kinema.demo.render import RenderFailed, RenderStopped, render, render_cached


@pytest.fixture
def short():
    """The first film, one second long and small."""
    return msgspec.structs.replace(film("nobody-up-yet"), seconds=1.5, size=(320, 180), raster=(160, 90))


def test_a_rendering_plays_with_picture_and_sound(short, tmp_path):
    told = []
    target = tmp_path / "film.mp4"

    render(short, target, progress=lambda done, total: told.append((done, total)))

    found = subprocess.run([ffmpeg(), "-i", str(target), "-f", "null", "-"], capture_output=True, text=True, check=True)
    assert "320x180" in found.stderr
    assert "Duration: 00:00:01.5" in found.stderr
    assert "48000 Hz, stereo" in found.stderr
    assert "bt709" in found.stderr
    assert told[-1] == (36, 36)
    assert [target] == list(tmp_path.iterdir())


def test_lettering_appears_at_its_time_and_place(short, tmp_path):
    def black(stage):
        for _ in range(stage.count):
            yield np.zeros((3, stage.height, stage.width), np.uint16)

    cue = Cue("I", 0.75, 1.25, x=0.25, height=0.5, ink=Ink(0.2), writing=0, fade=0)
    target = tmp_path / "film.mp4"
    render(msgspec.structs.replace(short, frames=black, cues=(cue,)), target)

    command = [ffmpeg(), "-loglevel", "error", "-i", str(target), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    shown = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8).reshape(
        -1, 180, 320
    )
    lit = [index for index, frame in enumerate(shown) if frame[80:100, 70:90].max() > 128]
    assert lit == list(range(18, 30))
    assert shown[:, :, 160:].max() < 40


def test_a_film_is_rendered_once(short, tmp_path):
    first = render_cached(short, tmp_path)
    inode = first.path.stat().st_ino
    again = render_cached(short, tmp_path)
    assert again.path.stat().st_ino == inode
    assert again.seconds == 0


def test_renderings_of_older_code_and_of_killed_runs_are_removed(short, tmp_path):
    stale = tmp_path / "nobody-up-yet-0123456789abcdef.mp4"
    stale.write_bytes(b"old")
    killed = tmp_path / "nobody-up-yet-x7k2"
    killed.mkdir()
    (killed / "film.mp4").write_bytes(b"half")
    made = render_cached(short, tmp_path)
    assert list(tmp_path.iterdir()) == [made.path]


def test_stopping_leaves_nothing_behind(short, tmp_path):
    stop = threading.Event()
    with pytest.raises(RenderStopped):
        render(short, tmp_path / "film.mp4", progress=lambda done, _total: stop.set() if done == 3 else None, stop=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_ffmpeg_is_reported_with_its_own_words(short, tmp_path):
    with pytest.raises(RenderFailed, match=r"(?s)'nobody-up-yet' could not be rendered: .*no-such-scaler"):
        render(msgspec.structs.replace(short, scaler="no-such-scaler"), tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_change_of_the_seed_is_another_rendering(short):
    other = msgspec.structs.replace(short, seed=short.seed + 1)
    assert rendering.version(short) != rendering.version(other)
