"""What a film has besides pictures and sound, through a real worker: thumbnails that show the right moment, subtitles, chapters."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.model.encoding import Chapter
from kinema.services.encoding.packaging import webvtt
from kinema.services.encoding.packaging.thumbnails import grid_for
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import content_key
from tests.support.clips import ffmpeg

SUBTITLES = """1
00:00:01,000 --> 00:00:02,500
Hello <i>you</i>

2
00:00:05,000 --> 00:00:20,000
Until the end and longer
"""
CHAPTERS = """;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=4000
title=Dusk
[CHAPTER]
TIMEBASE=1/1000
START=4000
END=8000
"""
GREYS = (40, 80, 120, 160, 200, 230, 60, 100)  # luma of the film's seconds


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Eight seconds, each of another grey, that begin at 0.5 s in the file; sound, three subtitles (one of pictures), two chapters."""
    directory = tmp_path_factory.mktemp("film")
    (directory / "text.srt").write_text(SUBTITLES)
    (directory / "chapters.txt").write_text(CHAPTERS)
    grey = "+".join(f"between(t,{second},{second + 0.999})*{luma}" for second, luma in enumerate(GREYS))
    path = directory / "film.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "color=gray:size=320x180:rate=10:duration=8", "-f", "lavfi", "-i", "sine=duration=8",
        "-i", str(directory / "text.srt"), "-i", str(directory / "chapters.txt"),
        "-map", "0:v", "-map", "1:a", "-map", "2:s", "-map", "2:s", "-map_metadata", "3", "-map_chapters", "3",
        "-vf", f"geq=lum='{grey.replace('t,', 'T,')}':cb=128:cr=128", "-c:v", "libx264", "-preset", "ultrafast",
        "-c:a", "aac", "-c:s:0", "srt", "-c:s:1", "ass", "-metadata:s:s:0", "language=eng", "-metadata:s:s:1", "language=eng",
        "-metadata:s:s:1", "title=For the deaf", "-disposition:s:1", "hearing_impaired", "-output_ts_offset", "0.5", str(path),
    )  # fmt: skip
    return path


@pytest.fixture
async def published(opened, film):
    room, client = opened
    await room.upload(client, film, title="Extras")
    async with room.worker():
        (job,) = await room.ended()
    assert job.state == "done", job.error
    manifest = await room.manifest(room.announced[-1][1])
    return manifest, lambda name: room.blobs.local_path(content_key("media", manifest.track(name).digest))


def luma_of(sheet: Path, x: int, y: int) -> float:
    """Return the luma in the middle of a tile, whose size is known to be 240 x 136."""
    crop = f"crop=40:40:{x + 100}:{y + 48},scale=1:1"
    done = subprocess.run(
        [find_tools().ffmpeg, "-v", "error", "-i", str(sheet), "-vf", crop, "-pix_fmt", "gray", "-f", "rawvideo", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout[0]


async def test_a_film_has_all_its_extras(published):
    manifest, file = published
    names = {track.name: track for track in manifest.tracks if track.kind in {"text", "image"}}
    assert set(names) == {"text-eng", "text-eng-vtt", "text-eng-2", "text-eng-2-vtt", "thumbnails-1"}
    # The chapters stand still where the rest begins half a second later.
    assert manifest.chapters == (Chapter(0.0, 3.5, "Dusk"), Chapter(3.5, 7.5, "Chapter 2"))

    # Subtitles begin where the film does, and end with it.
    cues = webvtt.parse(file("text-eng-vtt").read_text())
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [
        (1000, 2500, "Hello <i>you</i>"), (5000, 8000, "Until the end and longer"),
    ]  # fmt: skip
    assert [cue.text for cue in webvtt.parse(file("text-eng-2-vtt").read_text())] == [cue.text for cue in cues]
    assert (names["text-eng"].codec, names["text-eng"].language, names["text-eng"].roles) == ("wvtt", "eng", ())
    assert (names["text-eng-2"].label, names["text-eng-2"].roles) == ("For the deaf", ("caption",))
    assert b"Until the end" in file("text-eng").read_bytes()

    # Key frames stand at 0 and 4 s: pictures of 2 s show the last one that began.
    sheet = names["thumbnails-1"]
    tiles = sheet.tiles
    assert (tiles.columns, tiles.rows, tiles.width, tiles.height, tiles.seconds) == (4, 1, 240, 136, 2.0)
    assert (sheet.width, sheet.height) == (960, 136)
    shown = [luma_of(file("thumbnails-1"), column * 240, 0) for column in range(4)]
    # Limited range becomes full in a JPEG.
    expected = [(GREYS[second] - 16) * 255 / 219 for second in (0, 0, 4, 4)]
    assert shown == pytest.approx(expected, abs=6)


@given(st.floats(0.02, 30_000), st.integers(16, 8192), st.integers(16, 8192))
def test_the_grid_covers_every_film_with_few_pictures(seconds, width, height):
    grid = grid_for(seconds, width, height)
    tiles = grid.tiles
    assert (grid.pictures - 1) * tiles.seconds < seconds <= grid.pictures * tiles.seconds
    assert grid.sheets * tiles.columns * tiles.rows >= grid.pictures > (grid.sheets - 1) * tiles.columns * tiles.rows
    assert max(tiles.columns, tiles.rows) <= 10
    assert 2 <= min(tiles.width, tiles.height) <= max(tiles.width, tiles.height) <= 240
    assert 2 <= tiles.seconds <= 10
