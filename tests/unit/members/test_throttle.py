"""GCRA against a model that remembers every attempt, and the bounded memory around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.errors import TooMany
from kinema.services.members.throttle import Rate, Throttle, gcra

rates = st.builds(Rate, interval=st.integers(1, 20).map(float), burst=st.integers(1, 8))
gaps = st.lists(st.integers(0, 40), min_size=1, max_size=60)


@given(rates, gaps)
def test_an_attempt_is_allowed_exactly_when_the_bucket_holds_a_token(rate, gaps):
    tat, now = 0.0, 1000.0
    tokens, filled_at = float(rate.burst), now  # a token bucket: the same rule, told the other way round
    for gap in gaps:
        now += gap
        tokens = min(rate.burst, tokens + (now - filled_at) / rate.interval)
        filled_at = now
        decision = gcra(tat, now, rate)
        assert decision.allowed == (tokens >= 1 - 1e-9)
        if decision.allowed:
            tokens -= 1
        tat = decision.tat


@given(rates, gaps)
def test_a_refused_attempt_succeeds_after_the_time_it_is_told_to_wait(rate, gaps):
    tat, now = 0.0, 1000.0
    for gap in gaps:
        now += gap / 8  # exact in binary
        decision = gcra(tat, now, rate)
        tat = decision.tat
        if not decision.allowed:
            assert decision.retry_after > 0
            assert not gcra(tat, now + decision.retry_after * 0.99, rate).allowed
            assert gcra(tat, now + decision.retry_after + 1e-6, rate).allowed


def test_keys_are_counted_apart_and_the_sentence_says_how_long():
    clock = ManualClock()
    throttle = Throttle(clock, Rate(interval=30, burst=2))
    throttle.attempt("ada")
    throttle.attempt("ada")
    throttle.attempt("eve")
    with pytest.raises(TooMany, match="in 31 seconds"):
        throttle.attempt("ada")
    clock.advance(30.5)
    throttle.attempt("ada")
