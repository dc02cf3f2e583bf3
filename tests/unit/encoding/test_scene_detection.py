"""Cuts are found, and nothing else is taken for one."""

from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.chunks.pictures import opened, picked
from kinema.services.encoding.execution.work import Context, kind_named
from kinema.services.encoding.inspection import Unusable, inspect, timing_filters
from kinema.services.encoding.shots.detection import DETECT, Scenes, Search, detect, find_cuts
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import store
from tests.support.clips import ffmpeg

RATE = Fraction(24)
POINTS = 144
DARK_LEFT = bytes([20] * 72 + [200] * 72)
CHECKED = bytes([200, 20] * 72)
DIM_LEFT = bytes([20] * 72 + [30] * 72)
DIM_CHECKED = bytes([30, 20] * 72)
BLACK, WHITE = bytes([16] * POINTS), bytes([235] * POINTS)


def film(*parts):
    """Return changes and grey copies of pictures given as (picture, how often)."""
    pictures = [picture for picture, times in parts for _ in range(times)]
    changes = [0.0]
    for before, after in pairwise(pictures):
        changes.append(sum(abs(a - b) for a, b in zip(before, after, strict=True)) / POINTS / 2.55)
    return changes, b"".join(pictures)


def mixed(one, other, steps):
    """Return the pictures of a dissolve."""
    return [
        (bytes(round(a + (b - a) * step / (steps + 1)) for a, b in zip(one, other, strict=True)), 1)
        for step in range(1, steps + 1)
    ]


def cuts(*parts):
    return find_cuts(*film(*parts), RATE)


def test_cuts_are_found_where_the_new_shot_begins():
    assert cuts((DARK_LEFT, 30), (CHECKED, 40), (WHITE, 30)) == (30, 70)


def test_a_cut_between_dark_scenes_is_found():
    assert cuts((DIM_LEFT, 30), (DIM_CHECKED, 30)) == ()
    brighter = bytes([20] * 72 + [40] * 72), bytes([40, 20] * 72)
    assert cuts((brighter[0], 30), (brighter[1], 30)) == (30,)


@pytest.mark.parametrize("lasts", [1, 2, 4, 7])
@pytest.mark.parametrize("flash", [WHITE, BLACK, CHECKED])
def test_a_flash_is_no_cut(lasts, flash):
    assert cuts((DARK_LEFT, 30), (flash, lasts), (DARK_LEFT, 30)) == ()


def test_a_light_that_is_switched_on_is_no_cut():
    brighter = bytes(min(255, round(value * 1.2) + 15) for value in DARK_LEFT)
    assert cuts((DARK_LEFT, 30), (brighter, 30)) == ()


@pytest.mark.parametrize("steps", [6, 12, 24])
def test_dissolves_and_fades_are_no_cuts(steps):
    assert cuts((DARK_LEFT, 30), *mixed(DARK_LEFT, CHECKED, steps), (CHECKED, 30)) == ()
    assert cuts((DARK_LEFT, 30), *mixed(DARK_LEFT, BLACK, steps), (BLACK, 9), *mixed(BLACK, CHECKED, steps)) == ()


@pytest.mark.parametrize("hold", [1, 2, 3])
def test_a_drawing_that_jumps_all_the_time_is_no_cut(hold):
    drawings = [
        bytes((60 if (point + 13 * number) % 17 < 6 else 190) for point in range(POINTS)) for number in range(40)
    ]
    assert cuts(*[(drawing, hold) for drawing in drawings]) == ()


@given(
    st.lists(st.floats(0, 100), max_size=60).flatmap(
        lambda changes: st.tuples(
            st.just(changes), st.binary(min_size=POINTS * len(changes), max_size=POINTS * len(changes))
        )
    ),
    st.sampled_from([Fraction(1), Fraction(25), Fraction(60)]),
)
def test_any_measurements_give_cuts_inside_the_film_in_order(measured, rate):
    changes, thumbs = measured
    found = find_cuts(changes, thumbs, rate)
    assert list(found) == sorted(set(found))
    assert all(0 < cut < len(changes) for cut in found)


@pytest.fixture(scope="module")
def trailer(tmp_path_factory):
    """Three scenes of 1.5, 2 and 2 s at 24 pictures a second; the second fades to black, the third has a flash in it."""
    path = tmp_path_factory.mktemp("scenes") / "trailer.mkv"
    graph = (
        "testsrc2=s=320x180:r=24:d=1.5[a];mandelbrot=s=320x180:r=24,trim=end_frame=48,fade=out:st=1.2:d=0.8[b];"
        "smptehdbars=s=320x180:r=24:d=2,geq=lum='if(between(N,20,21),235,lum(X,Y))':cb='cb(X,Y)':cr='cr(X,Y)'[c];"
        "[a][b][c]concat=n=3,format=yuv420p"
    )
    ffmpeg("-filter_complex", graph, "-c:v", "libx264", "-preset", "ultrafast", str(path))
    return path


@pytest.fixture
def context(opened, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Context(find_tools(), opened[0].blobs, scratch)


async def search_of(context, path):
    return Search(await store(context.blobs, "sources", path), await inspect(path, context.tools))


async def test_the_scenes_of_a_real_film_are_found(context, trailer):
    assert await detect(context, await search_of(context, trailer)) == Scenes(132, (36, 84))
    assert list(context.scratch.iterdir()) == []


async def test_a_film_of_one_picture_has_no_cut(context, tmp_path):
    path = tmp_path / "one.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=0.04", "-c:v", "libx264", "-pix_fmt", "yuv420p", str(path))
    assert await detect(context, await search_of(context, path)) == Scenes(1, ())


async def test_cuts_are_counted_as_the_encoder_counts_pictures(context, trailer, tmp_path):
    late = tmp_path / "late.mov"
    shift = ("-filter_complex", "[0:v]setpts=PTS+0.5/TB[v];sine=d=6[a]", "-map", "[v]", "-map", "[a]")
    ffmpeg("-i", str(trailer), *shift, "-c:v", "libx264", "-preset", "ultrafast", "-fps_mode", "passthrough", str(late))
    search = await search_of(context, late)
    scenes = await detect(context, search)
    film = await context.film(search.source)
    for cut in scenes.cuts:
        pictures = tmp_path / "cut.gray"
        filters = [
            *timing_filters(search.facts),
            *picked(search.facts, cut - 1, 2),
            "scale=16:9:flags=area,format=gray",
        ]
        options = [*opened(film, search.facts, cut - 1, 1), "-an", "-vf", ",".join(filters), "-fps_mode", "passthrough"]
        ffmpeg(*options, "-f", "rawvideo", str(pictures))
        before, after = pictures.read_bytes()[:POINTS], pictures.read_bytes()[POINTS:]
        assert len(after) == POINTS
        assert sum(abs(a - b) for a, b in zip(before, after, strict=True)) > 10 * POINTS
    assert len(scenes.cuts) == 2


async def test_a_film_of_which_much_is_missing_is_refused(context, trailer):
    search = await search_of(context, trailer)
    longer = msgspec.structs.replace(search.facts, duration_seconds=20.0)
    with pytest.raises(Unusable, match=r"Only 5.5 s of the film's 20.0 s can be decoded"):
        await detect(context, msgspec.structs.replace(search, facts=longer))


def test_films_can_be_searched_anywhere():
    assert kind_named("detect") is DETECT
