"""The quantile of a stream, held against sorting, and the delay of a hedge that follows from it."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.resilience.hedge import HedgeDelay
from kinema.resilience.quantiles import Quantiles


@given(
    durations=st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=300),
    share=st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_a_quantile_is_within_two_percent_of_what_sorting_gives(durations, share):
    seen = Quantiles()
    for duration in durations:
        seen.record(duration)
    true = sorted(durations)[math.ceil(share * len(durations) - 1e-9) - 1]
    assert seen.quantile(share) == pytest.approx(true, rel=0.0201)


def test_durations_outside_the_range_count_as_its_ends():
    seen = Quantiles()
    for duration in (0.0, -1.0, 1e9, math.inf):
        seen.record(duration)
    assert seen.quantile(0.5) == pytest.approx(1e-6, rel=0.03)
    assert seen.quantile(1.0) == pytest.approx(1e4, rel=0.03)


def test_nothing_seen_is_zero_and_clearing_forgets():
    seen = Quantiles()
    assert seen.quantile(0.95) == 0.0
    seen.record(3.0)
    seen.clear()
    assert (seen.count, seen.quantile(0.95)) == (0, 0.0)


def test_what_is_half_a_life_old_weighs_half():
    seen = Quantiles(half_life=100)
    for duration in [1.0] * 5000 + [2.0] * 100:
        seen.record(duration)
    # All that is older weighs as much as the newest hundred: the median lies at the change.
    assert seen.quantile(0.48) == pytest.approx(1.0, rel=0.03)
    assert seen.quantile(0.52) == pytest.approx(2.0, rel=0.03)


def test_weights_do_not_overflow():
    seen = Quantiles(half_life=1)
    for duration in range(1, 2000):
        seen.record(float(duration))
    assert seen.quantile(0.4) == pytest.approx(1998, rel=0.03)


def test_no_delay_is_given_before_enough_is_known():
    delay = HedgeDelay(minimum=100)
    for _ in range(99):
        delay.record(0.01)
    assert delay.delay is None
    delay.record(0.01)
    assert delay.delay == pytest.approx(0.01, rel=0.03)


def test_the_delay_is_the_p95_and_follows_a_change():
    source = random.Random(7)
    delay = HedgeDelay()
    for _ in range(5000):
        delay.record(source.uniform(0, 1))
    assert delay.delay == pytest.approx(0.95, rel=0.04)
    for _ in range(10_000):
        delay.record(source.uniform(0, 10))
    assert delay.delay == pytest.approx(9.5, rel=0.05)


def test_calling_off_the_late_does_not_make_the_delay_sink():
    """Calls that are called off when their copy answers are recorded with the time they had."""
    source = random.Random(3)
    delay = HedgeDelay()
    for _ in range(30_000):
        usual = source.expovariate(1 / 0.01)
        late = delay.delay
        delay.record(usual if late is None else min(usual, late + source.expovariate(1 / 0.01)))
    assert delay.delay == pytest.approx(-math.log(0.05) * 0.01, rel=0.15)


@pytest.mark.parametrize("quantile", [0.4, 1.0, float("nan")])
def test_a_quantile_that_hedges_everything_or_nothing_is_refused(quantile):
    with pytest.raises(ValueError, match="quantile"):
        HedgeDelay(quantile=quantile)
