"""How a film is divided into shots and GOPs, for any cuts."""

from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.services.encoding.ladder import gop_frames
from kinema.services.encoding.shots.timeline import (
    LONGEST_SHOT_SECONDS,
    SHORTEST_SHOT_SECONDS,
    Gop,
    Shot,
    Timeline,
    timeline,
)

RATES = st.sampled_from(
    [Fraction(1), Fraction(25, 2), Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)]
)


@st.composite
def films(draw):
    total = draw(st.integers(1, 20_000))
    return draw(st.lists(st.integers(-10, total + 10), max_size=60)), total, draw(RATES)


def starts(parts):
    return [part.start for part in parts]


def contiguous(parts, total):
    return [part.start + part.frames for part in parts] == [*starts(parts)[1:], total] and parts[0].start == 0


@given(films())
def test_shots_and_gops_cover_the_film_without_a_hole_and_no_gop_crosses_a_shot(film):
    cuts, total, rate = film
    divided = timeline(cuts, total, rate)
    assert contiguous(divided.shots, total)
    assert contiguous(divided.gops, total)
    assert all(part.frames > 0 for part in (*divided.shots, *divided.gops))
    assert set(starts(divided.shots)) <= set(starts(divided.gops))
    assert divided.frames == total


@given(films())
def test_a_gop_has_two_to_six_seconds_where_its_scene_allows(film):
    cuts, total, rate = film
    divided = timeline(cuts, total, rate)
    scenes = [0, *sorted(set(starts(divided.shots)) & set(cuts) - {0}), total]
    for start, end in pairwise(scenes):
        lengths = [gop.frames for gop in divided.gops_between(start, end - start)]
        assert sum(lengths) == end - start
        assert max(lengths) <= 6 * rate + 1
        if len(scenes) > 2:
            assert max(lengths) - min(lengths) <= 1
            if end - start >= 2 * rate + 1:
                assert min(lengths) >= 2 * rate - 1


@given(films())
def test_shots_are_neither_very_short_nor_very_long(film):
    cuts, total, rate = film
    shots = timeline(cuts, total, rate).shots
    shortest = min(total, round(SHORTEST_SHOT_SECONDS * rate))
    assert all(shot.frames >= shortest for shot in shots)
    assert all(shot.frames <= (LONGEST_SHOT_SECONDS + 6) * rate + 1 for shot in shots)


@given(films())
def test_no_choice_of_cuts_keeps_more_of_them(film):
    cuts, total, rate = film
    shortest = max(1, round(SHORTEST_SHOT_SECONDS * rate))
    inside = sorted({cut for cut in cuts if shortest <= cut <= total - shortest})
    most = {0: 0}  # cut -> how many can be kept up to it
    for cut in inside:
        most[cut] = 1 + max(kept for before, kept in most.items() if cut - before >= shortest)
    shots = timeline(cuts, total, rate).shots
    assert len(set(starts(shots)) & set(inside)) >= max(most.values())


@given(st.integers(1, 20_000), RATES)
def test_a_film_without_a_cut_keeps_the_plain_grid(total, rate):
    divided = timeline([], total, rate)
    assert starts(divided.gops) == list(range(0, total, gop_frames(rate)))


def test_cuts_begin_shots_and_gops():
    divided = timeline([50, 300], 500, Fraction(25))
    assert divided.shots == (Shot(0, 50), Shot(50, 250), Shot(300, 200))
    assert divided.gops == (Gop(0, 50), Gop(50, 125), Gop(175, 125), Gop(300, 100), Gop(400, 100))


def test_the_cuts_of_a_strobe_do_not_make_shots_of_a_few_pictures():
    divided = timeline(range(0, 100, 3), 100, Fraction(25))
    assert divided.shots == (Shot(0, 27), Shot(27, 27), Shot(54, 46))


def test_a_minute_without_a_cut_is_several_shots_on_the_same_grid():
    divided = timeline([], 25 * 60, Fraction(25))
    assert starts(divided.gops) == list(range(0, 1500, 100))
    assert divided.shots == (Shot(0, 700), Shot(700, 800))


def test_the_gops_of_a_shot_are_found():
    divided = timeline([50, 300], 500, Fraction(25))
    assert divided.gops_between(50, 250) == (Gop(50, 125), Gop(175, 125))
    assert divided.gops_between(0, 1) == (Gop(0, 50),)
    assert divided.gops_between(1, 40) == ()


def test_a_film_of_one_picture_is_one_shot():
    assert timeline([0, 1], 1, Fraction(24)) == Timeline("24/1", (Shot(0, 1),), (Gop(0, 1),))


def test_a_film_without_a_picture_is_refused():
    with pytest.raises(BadInput, match="0 pictures"):
        timeline([], 0, Fraction(24))


def test_a_timeline_survives_being_written_down():
    divided = timeline([50, 300], 500, Fraction(30000, 1001))
    assert msgspec.json.decode(msgspec.json.encode(divided), type=Timeline) == divided
