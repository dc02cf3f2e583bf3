"""Fields and black bars: what the pictures prove, against what the file says; doubts leave things as they are."""

import re
import subprocess
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.inspection import Crop, frame_rate, inspect, video_filters
from kinema.services.encoding.inspection.judging import crop_of, scan_of
from kinema.services.encoding.inspection.samples import Sample, places
from kinema.services.encoding.tools import find_tools
from tests.support import clips

NTSC = Fraction(30000, 1001)
# Blots that all move to the side.
MOVING = "color=gray:size=90x64:rate={1},noise=alls=90:all_seed=7,scale={0}:flags=bicubic,scroll=horizontal=0.012,setsar=1,format=yuv420p"


def film(path, size, rate, *filters, seconds=3, extra=()):
    clips.ffmpeg(
        "-f", "lavfi", "-i", MOVING.format(size.replace("x", ":"), rate), "-t", str(seconds), "-vf", ",".join(filters) or "null",
        "-c:v", "libx264", "-preset", "ultrafast", "-qp", "12", "-pix_fmt", "yuv420p", *extra, str(path),
    )  # fmt: skip
    return path


def sample(fields=(0, 0, 20), repeated=0, box=(0, 0, 640, 360), low=30.0, high=180.0):
    top, bottom, whole = fields
    return Sample(20, {"tff": top, "bff": bottom, "progressive": whole}, repeated, *box, (low,) * 20, (high,) * 20)


async def facts_of(path):
    return await inspect(path, find_tools())


def combed(path, facts):
    """Return how many pictures idet calls interlaced, of all, behind the film's own filters."""
    chain = f"{video_filters(facts, facts.width, facts.height)},idet"
    command = [find_tools().ffmpeg, "-hide_banner", "-nostdin", "-i", str(path), "-vf", chain, "-f", "null", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    seen = re.findall(
        r"Single frame detection: TFF:\s*(\d+) BFF:\s*(\d+) Progressive:\s*(\d+) Undetermined:\s*(\d+)", said
    )
    top, bottom, whole, unclear = (max(int(counts[place]) for counts in seen) for place in range(4))
    return top + bottom, top + bottom + whole + unclear


async def test_interlaced_pal_becomes_whole_pictures(tmp_path):
    path = film(
        tmp_path / "pal.mpg",
        "360x288",
        50,
        "interlace=scan=tff",
        extra=("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-q:v", "2"),
    )
    facts = await facts_of(path)
    assert (facts.interlaced, facts.flagged_interlaced, facts.field_order, facts.frame_rate) == (True, True, "", "25/1")
    interlaced, pictures = combed(path, facts)
    assert 74 <= pictures <= 76
    assert interlaced <= 1


async def test_interlaced_pictures_that_are_called_progressive_are_noticed(tmp_path):
    path = film(tmp_path / "film.mp4", "360x288", 50, "interlace=scan=bff", "setfield=prog")
    facts = await facts_of(path)
    assert (facts.interlaced, facts.flagged_interlaced, facts.field_order) == (True, False, "bottom")
    assert combed(path, facts)[0] <= 1


async def test_whole_pictures_that_are_called_interlaced_are_left_whole(tmp_path):
    path = film(tmp_path / "film.mp4", "360x288", 25, "setfield=tff", extra=("-flags", "+ilme+ildct"))
    facts = await facts_of(path)
    assert (facts.interlaced, facts.flagged_interlaced) == (False, True)
    assert "bwdif" not in video_filters(facts, 360, 288)


async def test_telecined_film_gets_its_24_pictures_back(tmp_path):
    path = film(
        tmp_path / "film.mp4",
        "352x240",
        "24000/1001",
        "telecine=first_field=top:pattern=23",
        seconds=5,
        extra=("-r", "30000/1001"),
    )
    facts = await facts_of(path)
    assert (facts.telecined, facts.interlaced, facts.frame_rate, facts.seekable) == (True, False, "24000/1001", False)
    interlaced, pictures = combed(path, facts)
    assert interlaced <= 1
    assert abs(pictures - 5 * 24) <= 2


def test_soft_telecine_is_film_at_its_own_rate():
    times, now = [], 0.0
    for number in range(240):
        times.append(now)
        now += (1001 / 30000) * (1.5 if number % 2 else 1.0)
    assert frame_rate(times, NTSC) == (Fraction(24000, 1001), False)


@pytest.mark.parametrize(
    ("flag", "rate", "samples", "expected"),
    [
        ("progressive", 25, [sample()], ("progressive", "")),
        ("unknown", 25, [sample((3, 2, 15))], ("progressive", "")),
        ("progressive", 25, [sample((19, 0, 1))], ("interlaced", "top")),
        ("progressive", 25, [sample((9, 9, 2))], ("progressive", "")),  # combed, but in no order: no fields
        ("tt", 25, [sample((10, 0, 10))], ("interlaced", "")),
        ("tt", 25, [sample((0, 19, 1))], ("interlaced", "bottom")),
        ("tt", 25, [sample((1, 0, 19))], ("progressive", "")),
        ("tt", 25, [], ("interlaced", "")),
        ("tt", 25, [sample((0, 0, 0))], ("interlaced", "")),  # nothing moves
        ("bb", NTSC, [sample((0, 18, 2), repeated=8)], ("telecined", "bottom")),
        ("bb", NTSC, [sample((0, 18, 2), repeated=2)], ("interlaced", "")),
        ("progressive", NTSC, [sample((0, 0, 20), repeated=8)], ("progressive", "")),
    ],
)
def test_flag_against_pictures(flag, rate, samples, expected):
    assert scan_of(flag, Fraction(rate), samples) == expected


async def test_bars_are_cut_off(tmp_path):
    path = film(tmp_path / "film.mp4", "640x268", 24, "pad=640:360:0:46")
    facts = await facts_of(path)
    assert facts.crop == Crop(width=640, height=268, x=0, y=46)
    assert (facts.width, facts.height) == (640, 268)


async def test_a_title_in_a_bar_keeps_the_picture_whole(tmp_path):
    box = "drawbox=x=200:y=330:w=100:h=16:color=white:t=fill:enable='between(t,1.5,4)'"
    path = film(tmp_path / "film.mp4", "640x268", 24, "pad=640:360:0:46", box, seconds=4)
    facts = await facts_of(path)
    assert facts.crop == Crop(width=640, height=300, x=0, y=46)


async def test_a_turned_film_loses_its_bars_where_they_are_seen(tmp_path):
    flat = film(tmp_path / "flat.mp4", "480x360", 24, "pad=640:360:80:0")
    turned = tmp_path / "turned.mp4"
    clips.ffmpeg("-display_rotation", "90", "-i", str(flat), "-c", "copy", str(turned))
    facts = await facts_of(turned)
    assert (facts.rotation, facts.crop) == (90, Crop(width=360, height=480, x=0, y=80))
    assert (facts.width, facts.height) == (360, 480)


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ([], "nothing was seen"),
        ([sample(box=(0, 60, 640, 300), low=16, high=20)], "too dark to tell"),
        (
            [sample(box=(0, 60, 640, 300)), *[sample(low=16, high=20, box=(0, 60, 640, 300))] * 2],
            "most places are too dark",
        ),
        ([sample(box=(0, 3, 640, 357))], "too thin for bars"),
        ([sample(box=(0, 140, 640, 220))], "too little would remain"),
        ([sample(box=(0, 60, 640, 300)), sample()], "another scene fills the picture"),
    ],
)
def test_no_bars_when_in_doubt(samples, why):
    assert crop_of(640, 360, samples) is None, why


boxes = st.tuples(st.integers(0, 639), st.integers(0, 359), st.integers(0, 640), st.integers(0, 360)).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
)


@given(st.lists(boxes, min_size=1, max_size=8))
def test_nothing_that_was_seen_is_ever_cut_off(found):
    crop = crop_of(640, 360, [sample(box=box) for box in found])
    if crop is None:
        return
    assert crop.x % 2 == crop.y % 2 == crop.width % 2 == crop.height % 2 == 0
    for left, top, right, bottom in found:
        assert crop.x <= left
        assert crop.y <= top
        assert right <= crop.x + crop.width <= 640
        assert bottom <= crop.y + crop.height <= 360


@given(st.floats(0.01, 40_000))
def test_places_lie_inside_the_film_and_stay_few(duration):
    found = places(duration)
    assert 1 <= len(found) <= 16
    assert all(0 < at < duration for at in found)
