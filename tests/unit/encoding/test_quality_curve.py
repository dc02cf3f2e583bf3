"""Curves of quality and rate through few points, also through points that no sound film has."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.services.encoding.quality.curve import Curve, Point, fit

CRFS = st.sampled_from([(16.0, 44.0), (10.0, 62.0), (0.0, 51.0)])


@st.composite
def measured(draw):
    crfs = draw(CRFS)
    points = draw(
        st.lists(
            st.builds(
                Point,
                crf=st.integers(int(crfs[0]), int(crfs[1])).map(float),
                bits_per_second=st.floats(0, 1e9),
                vmaf=st.floats(0, 100),
            ),
            min_size=1,
            max_size=8,
        )
    )
    return points, crfs


def logit(vmaf):
    return math.log(vmaf / (100 - vmaf))


@given(measured())
def test_quality_and_rate_fall_with_the_crf_whatever_was_measured(given_points):
    points, crfs = given_points
    curve = fit(points, crfs)
    steps = [crfs[0] + (crfs[1] - crfs[0]) * index / 50 for index in range(51)]
    for better, worse in pairwise(steps):
        assert curve.vmaf(better) > curve.vmaf(worse) or curve.vmaf(better) in {0.0, 100.0}
        assert curve.rate(better) > curve.rate(worse)
    assert all(math.isfinite(curve.slope(crf)) and curve.slope(crf) >= 0 for crf in steps)


@given(measured(), st.floats(0, 1))
def test_a_curve_can_be_turned_around(given_points, share):
    points, crfs = given_points
    curve = fit(points, crfs)
    crf = crfs[0] + (crfs[1] - crfs[0]) * share
    assert math.isclose(curve.rate(curve.crf_for_rate(curve.rate(crf))), curve.rate(crf), rel_tol=1e-6)
    if 0.6 < curve.vmaf(crf) < 99.7:
        assert math.isclose(curve.vmaf(curve.crf_for_vmaf(curve.vmaf(crf))), curve.vmaf(crf), abs_tol=1e-6)


@given(measured(), st.floats(-10, 110), st.floats(0, 1e12))
def test_what_no_crf_reaches_gets_an_end_of_the_range(given_points, vmaf, rate):
    points, crfs = given_points
    curve = fit(points, crfs)
    assert crfs[0] <= curve.crf_for_vmaf(vmaf) <= crfs[1]
    assert crfs[0] <= curve.crf_for_rate(rate) <= crfs[1]


@given(st.floats(0.01, 0.3), st.floats(0.01, 0.3), st.floats(0.02, 0.4), st.floats(0.02, 0.4), st.floats(0.5, 5))
def test_three_points_of_a_falling_parabola_give_it_back(first, last, first_octave, last_octave, top):
    def at(top, first, last, crf):
        t = crf - 16
        return top - first * t - (last - first) * t * t / (2 * 28)

    def point(crf):
        vmaf = 100 / (1 + math.exp(-at(top, first, last, crf)))
        return Point(crf, 2 ** at(22, first_octave, last_octave, crf), vmaf)

    curve = fit([point(22), point(29), point(36)], (16, 44))
    for crf in (22, 25, 29, 33, 36):
        if point(22).vmaf < 99.5 and point(36).vmaf > 1:
            assert abs(curve.vmaf(crf) - point(crf).vmaf) < 0.1
        assert math.isclose(curve.rate(crf), point(crf).bits_per_second, rel_tol=0.002)


def test_measured_points_are_met():
    points = [Point(20, 8e6, 98.2), Point(28, 3e6, 93.1), Point(36, 1.2e6, 80.5)]
    curve = fit(points, (16, 44))
    for point in points:
        assert abs(curve.vmaf(point.crf) - point.vmaf) < 0.05
        assert math.isclose(curve.rate(point.crf), point.bits_per_second, rel_tol=0.005)


def test_the_slope_is_the_gain_of_a_bit():
    curve = fit([Point(20, 8e6, 98.2), Point(28, 3e6, 93.1), Point(36, 1.2e6, 80.5)], (16, 44))
    gain = (curve.vmaf(27.99) - curve.vmaf(28.01)) / (curve.rate(27.99) - curve.rate(28.01))
    assert math.isclose(curve.slope(28), gain, rel_tol=1e-4)


def test_one_point_falls_as_films_usually_do():
    curve = fit([Point(28, 3e6, 93.0)], (16, 44))
    assert math.isclose(curve.vmaf(28), 93.0)
    assert math.isclose(curve.rate(28), 3e6)
    assert 1.5 < curve.rate(22) / curve.rate(28) < 2.5
    assert 94 < curve.vmaf(22) < 99


def test_two_points_are_met_and_nearly_a_line():
    curve = fit([Point(22, 6e6, 96.0), Point(34, 1.5e6, 84.0)], (16, 44))
    assert abs(curve.vmaf(22) - 96.0) < 0.01
    assert abs(curve.vmaf(34) - 84.0) < 0.01
    assert abs(math.log2(curve.rate(28)) - math.log2(3e6)) < 0.1


def test_black_pictures_stay_perfect_and_small():
    curve = fit([Point(22, 12_000, 100.0), Point(30, 12_000, 100.0), Point(38, 12_000, 100.0)], (16, 44))
    assert 11_000 < curve.rate(44) <= curve.rate(16) < 13_000
    assert curve.vmaf(30) > 99.5


def test_one_saturated_point_does_not_bend_the_others():
    alone = fit([Point(28, 3e6, 95.0), Point(36, 1.2e6, 85.0)], (16, 44))
    beside = fit([Point(20, 8e6, 100.0), Point(28, 3e6, 95.0), Point(36, 1.2e6, 85.0)], (16, 44))
    for crf in (28, 32, 36):
        assert abs(alone.vmaf(crf) - beside.vmaf(crf)) < 1


def test_points_that_rise_are_not_believed():
    curve = fit([Point(20, 2e6, 80.0), Point(28, 3e6, 90.0), Point(36, 4e6, 95.0)], (16, 44))
    assert abs(curve.vmaf(20) - curve.vmaf(36)) < 0.1
    assert math.isclose(curve.rate(20), curve.rate(36), rel_tol=0.01)


def test_no_point_gives_no_curve():
    with pytest.raises(BadInput, match="at least one measured point"):
        fit([], (16, 44))


def test_a_curve_survives_being_written_down():
    curve = fit([Point(28, 3e6, 93.0)], (16, 44))
    assert msgspec.json.decode(msgspec.json.encode(curve), type=Curve) == curve
