"""Pure choices: rungs, frame rates, progress, bit rates."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from kinema.model.encoding import Segment
from kinema.services.encoding.inspection import Facts, frame_rate
from kinema.services.encoding.ladder import gop_frames, rungs_for
from kinema.services.encoding.packaging.tracks import bandwidths


def sizes(width, height, rate=Fraction(24)):
    return [(rung.name, rung.width, rung.height) for rung in rungs_for(width, height, rate)]


def test_the_watchable_rung_comes_first_and_the_smallest_last():
    assert sizes(1280, 720) == [
        ("video-360p", 640, 360),
        ("video-480p", 854, 480),
        ("video-720p", 1280, 720),
        ("video-240p", 426, 240),
    ]


def test_upright_and_wide_films_are_fitted_into_the_boxes():
    assert ("video-1080p", 1080, 1920) in sizes(1080, 1920)
    assert ("video-1080p", 1920, 804) in sizes(1920, 804)


def test_a_film_between_two_boxes_keeps_its_own_size_on_top():
    assert ("video-540p", 960, 540) in sizes(960, 540)


def test_a_film_nearly_as_large_as_a_box_is_not_scaled():
    assert ("video-480p", 854, 480) in sizes(854, 480)
    assert len(sizes(854, 480)) == 3


def test_a_small_film_has_one_rung():
    assert sizes(200, 150) == [("video-150p", 200, 150)]


@given(st.integers(16, 8192), st.integers(16, 8192))
def test_rungs_are_even_never_larger_than_the_film_and_of_its_shape(width, height):
    rungs = rungs_for(width, height, Fraction(30))
    assert len({rung.name for rung in rungs}) == len(rungs)
    for rung in rungs:
        assert rung.width % 2 == rung.height % 2 == 0
        assert 2 <= rung.width <= width
        assert 2 <= rung.height <= height
        assert max(rung.width, rung.height) <= 3840 / 0.94
        if min(rung.width, rung.height) > 2:
            assert abs(rung.width / width - rung.height / height) <= 1.01 / width + 1.01 / height


def test_gops_are_whole_pictures_near_four_seconds():
    assert gop_frames(Fraction(30000, 1001)) == 120
    assert gop_frames(Fraction(24000, 1001)) == 96
    assert gop_frames(Fraction(25, 2)) == 50
    assert gop_frames(Fraction(1)) == 4


def every(seconds, count):
    return [seconds * number for number in range(count)]


def test_a_constant_rate_is_recognised_through_rounded_times():
    rounded = [round(1001 / 30000 * number, 3) for number in range(300)]
    assert frame_rate(rounded, None) == (Fraction(30000, 1001), False)
    assert frame_rate(every(1 / 12.5, 100), Fraction(25, 2)) == (Fraction(25, 2), False)


def test_a_pause_does_not_make_a_rate_variable():
    times = every(1 / 25, 200)
    assert frame_rate(times + [time + 30 for time in times], Fraction(90000)) == (Fraction(25), False)


def test_a_variable_rate_becomes_a_standard_one():
    times = [0.0]
    for number in range(300):
        times.append(times[-1] + (1 / 60 if number % 3 else 1 / 15))
    assert frame_rate(times, Fraction(90000)) == (Fraction(60), True)


def test_a_very_high_rate_is_halved():
    assert frame_rate(every(1 / 240, 500), Fraction(240)) == (Fraction(60), False)


def test_one_picture_has_a_rate():
    assert frame_rate([0.0], None) == (Fraction(25), False)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=50))
def test_any_times_give_a_rate_that_can_be_encoded(times):
    rate, _ = frame_rate(sorted(times), None)
    assert 1 <= rate <= 60


def test_the_peak_is_the_largest_segment_and_stubs_do_not_count():
    segments = (Segment(0, 1000, 4, ""), Segment(0, 3000, 4, ""), Segment(0, 900, 1, ""))
    assert bandwidths(segments, 1) == (6000, round(4900 * 8 / 9))


FACTS = Facts("mp4", 0, "h264", "yuv420p", 1280, 720, 0, "1:1", "24/1", False, False, 240, 10.0, ())
