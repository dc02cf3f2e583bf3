"""The rate limit as one pure function, and in memory with a bounded number of keys."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.resilience.gcra import gcra
from kinema.resilience.rate_limit import RateLimiter


def test_a_burst_passes_and_then_the_rate():
    arrival, passed = 0.0, []
    for call in range(40):  # ten a second for four seconds, of which two a second and a burst of five pass
        verdict = gcra(arrival, 100 + call / 10, rate=2.0, burst=5)
        arrival = verdict.arrival
        passed.append(verdict.allowed)
    assert passed[:6] == [True] * 6  # the fifth of a second that has passed has brought one more
    assert sum(passed) == 5 + 7
    assert [call for call, ok in enumerate(passed) if ok][6:] == [10, 15, 20, 25, 30, 35]


def test_a_refusal_says_when_the_call_would_pass():
    first = gcra(0.0, 50.0, rate=2.0, burst=3, cost=3)
    assert (first.allowed, first.remaining, first.retry_after, first.reset_after) == (True, 0, 0.0, 1.5)
    refused = gcra(first.arrival, 50.25, rate=2.0, burst=3, cost=2)
    assert (refused.allowed, refused.arrival, refused.remaining) == (False, first.arrival, 0)
    assert (refused.retry_after, refused.reset_after) == (0.75, 1.25)
    assert not gcra(first.arrival, 50.25 + 0.74, rate=2.0, burst=3, cost=2).allowed
    assert gcra(first.arrival, 50.25 + 0.75, rate=2.0, burst=3, cost=2).allowed


def test_what_costs_more_than_the_burst_never_passes():
    verdict = gcra(0.0, 50.0, rate=2.0, burst=3, cost=4)
    assert (verdict.allowed, verdict.remaining, verdict.retry_after) == (False, 3, math.inf)


@given(
    rate=st.floats(0.1, 1e5),
    burst=st.integers(1, 1000),
    start=st.sampled_from([0.0, 1e5, 1.8e9]),
    calls=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5)), max_size=100),
)
def test_over_any_time_no_more_passes_than_the_burst_and_the_rate(rate, burst, start, calls):
    arrival, now = 0.0, start
    passed = []
    for gap, cost in calls:
        now += gap
        verdict = gcra(arrival, now, rate, burst, cost)
        arrival = verdict.arrival
        if verdict.allowed:
            passed.append((now, cost))
            assert verdict.retry_after == 0.0
        elif cost <= burst:
            assert verdict.remaining < cost
            later = now + verdict.retry_after
            assert gcra(arrival, later + 1e-6, rate, burst, cost).allowed
        assert 0 <= verdict.remaining <= burst
        if verdict.remaining:
            assert gcra(arrival, now, rate, burst, verdict.remaining).allowed
    slack = 2e-6 * rate * (len(passed) + 1) + 1e-6
    for index, (since, _) in enumerate(passed):
        total = 0
        for until, cost in passed[index:]:
            total += cost
            assert total <= burst + rate * (until - since) + slack


@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 20),
    gaps=st.lists(st.integers(0, 300), max_size=200),
)
def test_it_lets_through_exactly_what_a_token_bucket_does(rate, burst, gaps):
    """A leaky bucket kept in whole hundredths of tokens and milliseconds, without floats."""
    arrival, now, tokens = 0.0, 1000, burst * 1000
    for gap in gaps:
        now += gap
        tokens = min(burst * 1000, tokens + gap * rate)
        verdict = gcra(arrival, now / 1000, rate, burst)
        arrival = verdict.arrival
        assert verdict.allowed == (tokens >= 1000)
        if verdict.allowed:
            tokens -= 1000
        assert verdict.remaining == tokens // 1000


async def test_keys_do_not_touch_each_other():
    clock = ManualClock()
    limiter = RateLimiter(clock, rate=1.0, burst=2)
    assert [(await limiter.take("a")).allowed for _ in range(3)] == [True, True, False]
    assert (await limiter.take("b")).remaining == 1
    clock.advance(1)
    assert [(await limiter.take("a")).allowed for _ in range(2)] == [True, False]


def test_keys_whose_burst_is_whole_again_are_forgotten():
    clock = ManualClock()
    limiter = RateLimiter(clock, rate=1.0, burst=2)
    for key in range(1000):
        limiter.take_now(str(key))
    assert len(limiter) == 1000
    clock.advance(2)
    for _ in range(600):
        clock.advance(2)
        limiter.take_now("one")
    assert len(limiter) == 1


def test_however_many_keys_come_so_many_are_kept_and_the_newest_stay_limited():
    limiter = RateLimiter(ManualClock(), rate=1.0, burst=1, most_keys=100)
    for key in range(1000):
        assert limiter.take_now(str(key)).allowed
        assert not limiter.take_now(str(key)).allowed
        assert len(limiter) <= 100
    assert not limiter.take_now("950").allowed
    assert limiter.take_now("1").allowed  # forgotten long ago


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (float("inf"), 1), (float("nan"), 1), (1.0, 0)])
def test_a_rate_that_makes_no_sense_is_refused(rate, burst):
    with pytest.raises(ValueError, match="rate above 0"):
        RateLimiter(ManualClock(), rate=rate, burst=burst)


@given(
    rate=st.floats(0.1, 1e5),
    burst=st.integers(1, 1000),
    calls=st.lists(st.tuples(st.floats(0, 2), st.sampled_from("ab")), max_size=60),
)
def test_the_quick_form_judges_as_the_full_one(rate, burst, calls):
    clock = ManualClock(1000.0)
    full, quick = RateLimiter(clock, rate, burst), RateLimiter(clock, rate, burst)
    for gap, key in calls:
        clock.advance(gap)
        verdict = full.take_now(key)
        left = quick.left_after(key, clock.monotonic())
        assert (left >= 0) == verdict.allowed
        if verdict.allowed:
            assert abs(int(left) - verdict.remaining) <= 1
