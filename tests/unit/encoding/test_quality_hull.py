"""The encodes that are worth having, among those of several sizes and codecs."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.quality.curve import Point, fit
from kinema.services.encoding.quality.hull import Candidate, HullPoint, hull, sampled, upper

LARGE = fit([Point(20, 8e6, 97.0), Point(28, 3e6, 88.0), Point(36, 1.2e6, 66.0)], (16, 44))
SMALL = fit([Point(20, 2e6, 84.0), Point(28, 0.9e6, 77.0), Point(36, 0.4e6, 63.0)], (16, 44))
SIZES = [Candidate("x264", 1920, 1080, LARGE), Candidate("x264", 960, 540, SMALL)]

points = st.builds(
    HullPoint,
    codec=st.just("x264"),
    width=st.just(640),
    height=st.just(360),
    crf=st.just(23.0),
    bits_per_second=st.integers(1, 10_000).map(float),
    vmaf=st.integers(0, 100).map(float),
)


def gain(less, more):
    return (more.vmaf - less.vmaf) / (more.bits_per_second - less.bits_per_second)


@given(st.lists(points, min_size=1, max_size=40))
def test_the_edge_rises_ever_more_slowly_and_nothing_lies_above_it(given_points):
    edge = upper(given_points)
    assert set(edge) <= set(given_points)
    assert edge[-1].vmaf == max(point.vmaf for point in given_points)
    assert edge[0].bits_per_second == min(point.bits_per_second for point in given_points)
    gains = [gain(less, more) for less, more in pairwise(edge)]
    assert all(each > 0 for each in gains)
    assert all(before > after for before, after in pairwise(gains))
    for point in given_points:
        for less, more in pairwise(edge):
            if less.bits_per_second <= point.bits_per_second <= more.bits_per_second:
                reached = less.vmaf + gain(less, more) * (point.bits_per_second - less.bits_per_second)
                assert point.vmaf <= reached + 1e-9


@given(st.lists(points, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(given_points, random):
    shuffled = list(given_points)
    random.shuffle(shuffled)
    assert upper(shuffled) == upper(given_points)


def test_small_pictures_serve_low_rates_and_large_ones_high_rates():
    edge = hull(SIZES)
    heights = [point.height for point in edge]
    assert heights[0] == 540
    assert heights[-1] == 1080
    assert heights == sorted(heights)


def test_a_codec_that_needs_half_the_bits_has_the_hull_for_itself():
    thrifty = fit([Point(20, 4e6, 97.0), Point(28, 1.5e6, 88.0), Point(36, 0.6e6, 66.0)], (16, 44))
    half = fit([Point(20, 1e6, 84.0), Point(28, 0.45e6, 77.0), Point(36, 0.2e6, 63.0)], (16, 44))
    rivals = [Candidate("svt-av1", 1920, 1080, thrifty), Candidate("svt-av1", 960, 540, half)]
    assert {point.codec for point in hull([*SIZES, *rivals])} == {"svt-av1"}


def test_the_hull_of_one_curve_is_that_curve():
    assert len(hull(SIZES[:1])) > 0.9 * len(sampled(SIZES[0]))


def test_nothing_gives_an_empty_hull():
    assert hull([]) == ()
