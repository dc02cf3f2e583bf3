"""What a ladder saves, and whether a codec is worth its price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.flow.codec_policy import GAINS, Watched, worth
from kinema.services.encoding.flow.savings import saved_share

RATES = st.lists(st.floats(1e4, 1e8), min_size=2, max_size=8, unique=True)


@given(RATES, st.floats(0.05, 20))
def test_a_ladder_that_is_the_same_at_a_part_of_the_rate_saves_the_rest(rates, factor):
    theirs = [(rate, 20 + 10 * index) for index, rate in enumerate(sorted(rates))]
    ours = [(rate * factor, vmaf) for rate, vmaf in theirs]
    assert saved_share(ours, theirs) == pytest.approx(1 - factor, rel=1e-9, abs=1e-9)


def test_rungs_that_are_worse_and_dearer_do_not_count():
    theirs = [(1000.0, 40.0), (4000.0, 80.0)]
    assert saved_share([*theirs, (3000.0, 35.0)], theirs) == pytest.approx(0)


@pytest.mark.parametrize("ours", [[], [(1000.0, 90.0)], [(1000.0, 10.0), (2000.0, 20.0)], [(0.0, 10.0), (0.0, 90.0)]])
def test_ladders_without_a_common_range_are_not_compared(ours):
    assert saved_share(ours, [(1000.0, 40.0), (4000.0, 80.0)]) is None


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 1e6), st.floats(0.1, 60))
def test_more_plays_never_make_a_codec_worth_less(few, more, cpu_seconds, days):
    few, more = sorted((few, more))
    verdicts = [
        worth(Watched(plays, days, 3600, 3e6), GAINS["svt-av1"], cpu_seconds, 0.01, 0.03) for plays in (few, more)
    ]
    assert verdicts[0].saved_bytes <= verdicts[1].saved_bytes
    assert verdicts[1].worthwhile or not verdicts[0].worthwhile


def test_a_film_that_is_watched_is_worth_av1_and_one_that_is_not_is_not():
    # Two hours at 3 Mbit/s are 2.7 GB; 28 % of it on 70 % of the devices is 0.53 GB a play.
    seen = worth(Watched(10, 1.0, 7200, 3e6), GAINS["svt-av1"], 36_000, 0.01, 0.03)
    assert seen.saved_bytes == pytest.approx(10.5 * 365 * 2.7e9 * 0.28 * 0.7)
    assert (seen.worthwhile, seen.expense) == (True, pytest.approx(0.3))
    assert not worth(Watched(0, 365.0, 7200, 3e6), GAINS["svt-av1"], 3_600_000, 0.01, 0.03).worthwhile
