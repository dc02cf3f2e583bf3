"""Deadline, retry budget and back-off on a clock that the test moves."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.errors import DeadlineExceeded
from kinema.resilience import (
    Bulkhead,
    Deadline,
    Fallback,
    FullJitter,
    HedgeDelay,
    Limiter,
    RateLimiter,
    Retry,
    RetryBudget,
)
from kinema.resilience.limits import ALGORITHMS, limit


def test_a_deadline_shrinks_and_ends():
    clock = ManualClock()
    deadline = Deadline(clock, 2.5)
    assert (deadline.remaining, deadline.header()) == (2.5, b"2500")
    clock.advance(2.0)
    assert (deadline.remaining, deadline.passed) == (0.5, False)
    deadline.check("waiting")
    clock.advance(1.0)
    assert (deadline.remaining, deadline.header(), deadline.passed) == (0.0, b"0", True)
    with pytest.raises(DeadlineExceeded, match="waiting"):
        deadline.check("waiting")


@given(st.lists(st.one_of(st.just("call"), st.just("retry"), st.floats(0, 20)), max_size=400))
def test_retries_never_exceed_the_share_and_the_minimum(steps):
    clock = ManualClock()
    budget = RetryBudget(clock, ratio=0.2, per_second=3.0, most=100.0)
    calls = retries = 0
    seconds = 0.0
    for step in steps:
        if step == "call":
            budget.called()
            calls += 1
        elif step == "retry":
            retries += budget.take()
        else:
            clock.advance(step)
            seconds += step
        assert retries <= 30 + 0.2 * calls + 3 * seconds + 1e-6


def test_a_failing_service_sees_little_more_than_its_usual_calls():
    clock = ManualClock()
    budget = RetryBudget(clock)
    sent = 0
    for _ in range(60 * 300):
        clock.advance(1 / 300)
        budget.called()
        sent += 1 + budget.take()
    assert sent / (60 * 300) < 1.25


def test_a_quiet_caller_may_retry_again_after_a_while():
    clock = ManualClock()
    budget = RetryBudget(clock)
    while budget.take():
        pass
    clock.advance(0.5)
    assert budget.take()
    assert not budget.take()


@given(st.integers(0, 10_000), st.integers())
def test_waits_stay_below_a_bound_that_doubles_up_to_the_most(attempt, seed):
    backoff = FullJitter(base=0.1, most=1.0, source=random.Random(seed))
    assert 0 <= backoff.wait(attempt) <= backoff.bound(attempt) <= 1.0
    assert [backoff.bound(n) for n in range(5)] == [0.1, 0.2, 0.4, 0.8, 1.0]


@pytest.mark.parametrize("figure", [float("nan"), float("-inf"), -1])
@pytest.mark.parametrize(
    "make",
    [
        lambda figure: RetryBudget(ManualClock(), ratio=figure),
        lambda figure: RetryBudget(ManualClock(), per_second=figure),
        lambda figure: RetryBudget(ManualClock(), most=figure),
        lambda figure: RetryBudget(ManualClock()).allow(0.2, figure),
        lambda figure: FullJitter(base=figure, most=1.0),
        lambda figure: FullJitter(base=0.1, most=figure),
        lambda figure: Retry(attempts=figure),
        lambda figure: Retry(attempt_seconds=figure),
        lambda figure: Fallback(answer=str, reserve_seconds=figure),
        lambda figure: HedgeDelay(half_life=figure),
        lambda figure: HedgeDelay(minimum=figure),
        Bulkhead,
        lambda figure: Bulkhead(1, queue=figure),
        lambda figure: RateLimiter(ManualClock(), 1, figure),
        lambda figure: RateLimiter(ManualClock(), figure, 1),
        lambda figure: RateLimiter(ManualClock(), 1, 1, most_keys=figure),
    ],
)
def test_a_figure_that_means_nothing_is_refused_when_a_part_is_made(make, figure):
    with pytest.raises(ValueError, match="give"):
        make(figure)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 0.0])
def test_a_place_under_a_limit_comes_back_whatever_the_clock_said(name, seconds):
    limiter = Limiter(limit(name), ManualClock())
    assert limiter.try_acquire()
    with suppress(ValueError, OverflowError):
        limiter.release(seconds)
    assert limiter.in_flight == 0
