"""The figures of the ladder's benchmark are right where the answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ladder_figures import bd_rate, bits_at, mean_interval, pchip, upper_hull
from benchmarks.ladder_peers import APPLE, NETFLIX, fitted

LADDER = [(2e5, 55.0), (4e5, 68.0), (9e5, 80.0), (2e6, 90.0), (4e6, 96.0)]


@given(st.floats(0.2, 5))
def test_the_same_ladder_at_other_rates_differs_by_just_that(factor):
    other = [(rate * factor, vmaf) for rate, vmaf in LADDER]
    assert bd_rate(other, LADDER) == pytest.approx(factor - 1, abs=1e-9)
    assert bits_at(other, 80) == pytest.approx(9e5 * factor)


def test_ladders_without_a_common_range_have_no_rate_to_compare():
    assert bd_rate(LADDER, [(1e5, 20.0), (2e5, 40.0)]) is None
    assert bd_rate(LADDER, [(1e5, 80.0)]) is None
    assert bits_at(LADDER, 97) is None


@given(st.lists(st.floats(0.01, 5), min_size=2, max_size=8), st.data())
def test_the_curve_goes_through_its_points_and_never_back(steps, data):
    rises = data.draw(st.lists(st.floats(0.01, 5), min_size=len(steps), max_size=len(steps)))
    x, y = np.cumsum([0, *steps]), np.cumsum([0, *rises])
    assert pchip(x, y, x) == pytest.approx(y)
    assert np.all(np.diff(pchip(x, y, np.linspace(x[0], x[-1], 200))) >= -1e-9)


def test_a_straight_line_stays_one():
    x = np.array([0.0, 1.0, 4.0, 5.0])
    at = np.linspace(0, 5, 50)
    assert pchip(x, 2 * x + 1, at) == pytest.approx(2 * at + 1)


def test_the_hull_leaves_out_what_a_mixture_beats():
    assert upper_hull([(1, 10), (2, 11), (3, 30), (4, 29), (5, 40)]) == [(1, 10), (3, 30), (5, 40)]


def test_an_interval_holds_the_mean_and_narrows_to_it():
    mean, low, high = mean_interval([0.1, 0.2, 0.3, 0.4])
    assert mean == pytest.approx(0.25)
    assert 0.1 < low < mean < high < 0.4
    assert mean_interval([0.2] * 5) == pytest.approx((0.2, 0.2, 0.2))


def test_peers_ladders_end_at_the_films_height_and_keep_its_shape():
    assert [(rung.width, rung.height) for rung in fitted(APPLE, 960, 540)] == [
        (416, 234),
        (640, 360),
        (768, 432),
        (768, 432),
        (960, 540),
    ]
    assert (fitted(NETFLIX, 1920, 1080)[0].width, fitted(NETFLIX, 1920, 1080)[0].height) == (320, 180)
    assert len(fitted(NETFLIX, 1920, 1080)) == len(NETFLIX)
