"""The circuit breaker: its states by hand, and against a slow, plain model of the same rules in a state machine."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kinema.core.clock import ManualClock
from kinema.resilience.breaker import BreakerConfig, CircuitBreaker, State


def fail(breaker, times, seconds=0.01):
    for _ in range(times):
        assert breaker.allow()
        breaker.failure(seconds)


def succeed(breaker, times, seconds=0.01):
    for _ in range(times):
        assert breaker.allow()
        breaker.success(seconds)


def opened(clock, **config):
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=1, **config))
    fail(breaker, 1)
    assert breaker.state is State.OPEN
    return breaker


def test_nineteen_failures_are_too_few_to_judge_by_and_the_twentieth_opens():
    breaker = CircuitBreaker(ManualClock())
    fail(breaker, 19)
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert (breaker.state, breaker.allow()) == (State.OPEN, False)


def test_half_of_the_calls_failing_opens_and_less_does_not():
    breaker = CircuitBreaker(ManualClock())
    succeed(breaker, 11)
    fail(breaker, 10)
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN


def test_failures_older_than_ten_seconds_no_longer_count():
    clock = ManualClock()
    breaker = CircuitBreaker(clock)
    fail(breaker, 19)
    clock.advance(10.0)
    fail(breaker, 19)
    assert (breaker.state, breaker.snapshot().calls) == (State.CLOSED, 19)


def test_by_count_old_failures_count_until_newer_calls_push_them_out():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(window_calls=10, minimum_calls=10))
    fail(breaker, 4)
    clock.advance(3600)
    succeed(breaker, 8)
    assert (breaker.snapshot().calls, breaker.snapshot().failures) == (10, 2)
    fail(breaker, 2)  # pushes out the last two of the first
    assert breaker.state is State.CLOSED
    fail(breaker, 3)
    assert breaker.state is State.OPEN


def test_slow_calls_open_it_even_when_they_succeed():
    breaker = CircuitBreaker(ManualClock(), BreakerConfig(slow_seconds=1.0, slow_rate=0.5))
    succeed(breaker, 10)
    succeed(breaker, 10, seconds=1.5)
    assert breaker.state is State.OPEN


def test_after_its_sleep_one_probe_passes_and_closes_it():
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(4.9)
    assert (breaker.allow(), breaker.snapshot().retry_after) == (False, pytest.approx(0.1))
    clock.advance(0.2)
    assert [breaker.allow(), breaker.allow()] == [True, False]
    assert breaker.state is State.HALF_OPEN
    breaker.success(0.01)
    assert (breaker.state, breaker.allow(), breaker.snapshot().calls) == (State.CLOSED, True, 0)


def test_a_probe_that_fails_opens_it_for_another_sleep():
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(5)
    assert breaker.allow()
    clock.advance(1)
    breaker.failure(1)
    clock.advance(4.9)
    assert not breaker.allow()
    clock.advance(0.1)
    assert breaker.allow()


def test_of_several_probes_the_rate_decides_and_is_not_waited_for_when_certain():
    clock = ManualClock()
    breaker = opened(clock, probes=4)
    clock.advance(5)
    assert [breaker.allow() for _ in range(5)] == [True] * 4 + [False]
    breaker.failure(0.1)
    breaker.success(0.1)
    assert breaker.state is State.HALF_OPEN
    breaker.failure(0.1)  # two of four
    assert breaker.state is State.OPEN
    clock.advance(5)
    assert all(breaker.allow() for _ in range(4))
    breaker.failure(0.1)
    for _ in range(3):
        breaker.success(0.1)
    assert breaker.state is State.CLOSED


def test_a_probe_without_a_verdict_is_given_back():
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(5)
    assert breaker.allow()
    breaker.release()
    assert [breaker.allow(), breaker.allow()] == [True, False]


def test_a_probe_that_never_comes_back_is_replaced():
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(5)
    assert breaker.allow()
    clock.advance(5)
    assert [breaker.allow(), breaker.allow()] == [True, False]
    breaker.success(0.01)
    assert breaker.state is State.CLOSED


def test_a_call_from_before_the_opening_is_no_probe():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=1))
    assert [breaker.allow(), breaker.allow(), breaker.allow()] == [True] * 3
    breaker.failure(0.1)
    clock.advance(6)
    assert [breaker.allow(), breaker.allow()] == [True, False]
    breaker.success(6)
    breaker.failure(6)
    breaker.release(6)
    assert (breaker.state, breaker.allow()) == (State.HALF_OPEN, False)
    breaker.success(0.01)
    assert breaker.state is State.CLOSED


def test_an_operator_holds_it_open_or_closed():
    clock = ManualClock()
    breaker = CircuitBreaker(clock)
    breaker.force_open()
    clock.advance(100)
    assert (breaker.state, breaker.allow()) == (State.FORCED_OPEN, False)
    breaker.force_closed()
    fail(breaker, 30)
    assert (breaker.state, breaker.snapshot().failures) == (State.FORCED_CLOSED, 30)
    breaker.automatic()
    assert (breaker.state, breaker.snapshot().failures) == (State.CLOSED, 0)
    fail(breaker, 20)
    breaker.automatic()
    assert breaker.state is State.OPEN


def test_other_figures_hold_at_once_and_what_was_counted_goes_on_counting():
    clock = ManualClock()
    breaker = CircuitBreaker(clock)
    fail(breaker, 9)
    breaker.reconfigure(BreakerConfig(minimum_calls=10, sleep_seconds=1.0))
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN
    clock.advance(1.0)
    assert (breaker.allow(), breaker.state) == (True, State.HALF_OPEN)


def test_another_window_begins_to_count_from_zero():
    clock = ManualClock()
    breaker = CircuitBreaker(clock)
    fail(breaker, 19)
    breaker.reconfigure(BreakerConfig(window_calls=30))
    fail(breaker, 19)
    assert (breaker.state, breaker.snapshot().failures) == (State.CLOSED, 19)
    fail(breaker, 1)
    assert breaker.state is State.OPEN


def test_another_number_of_probes_begins_the_trial_anew():
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(5.0)
    assert breaker.allow()
    breaker.reconfigure(BreakerConfig(minimum_calls=1, probes=2))
    clock.advance(1.0)
    assert [breaker.allow() for _ in range(3)] == [True, True, False]
    breaker.success(2.0)  # of the first trial: it says nothing any more
    assert breaker.state is State.HALF_OPEN
    breaker.success(0.01)
    breaker.success(0.01)
    assert breaker.state is State.CLOSED


def test_listeners_hear_each_change_and_one_that_raises_harms_nobody(caplog):
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=1))
    heard = []
    breaker.listen(lambda *_: 1 / 0)
    unlisten = breaker.listen(lambda old, new: heard.append((old, new)))
    fail(breaker, 1)
    clock.advance(5)
    breaker.allow()
    breaker.success(0.1)
    assert heard == [
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
    ]
    assert "ZeroDivisionError" in caplog.text
    unlisten()
    unlisten()
    breaker.force_open()
    assert len(heard) == 3


@pytest.mark.parametrize("config", [{}, {"window_calls": 50}, {"slow_seconds": 0.5, "slow_rate": 0.6}])
@pytest.mark.parametrize("held", [CircuitBreaker.automatic, CircuitBreaker.force_closed, CircuitBreaker.force_open])
@pytest.mark.parametrize("seconds", [[0.01] * 5, [0.1 * number for number in range(30)]])
def test_successes_told_at_once_count_as_each_by_itself(config, held, seconds):
    clock = ManualClock()
    one, other = (CircuitBreaker(clock, BreakerConfig(**config)) for _ in range(2))
    for breaker in (one, other):
        fail(breaker, 3)
        held(breaker)
    for each in seconds:
        one.success(each)
    other.successes(seconds, clock.monotonic())
    assert other.snapshot() == one.snapshot()


def test_a_snapshot_shows_what_was_counted():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(slow_seconds=1.0))
    succeed(breaker, 6, seconds=0.1)
    succeed(breaker, 3, seconds=1.5)
    fail(breaker, 11, seconds=0.2)
    assert not breaker.allow()
    clock.advance(2)
    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.calls, snapshot.failures, snapshot.slow) == (State.OPEN, 20, 11, 3)
    assert (snapshot.refused, snapshot.seconds_in_state, snapshot.retry_after) == (1, 2.0, 3.0)
    assert (snapshot.latency.count, snapshot.latency.mean) == (20, pytest.approx(0.365))
    assert snapshot.latency.percentiles[:3] == (0.1, 0.1, 0.2)
    assert snapshot.latency.percentiles[-1] == 1.5


@pytest.mark.parametrize(
    "config",
    [
        {"failure_rate": 0.0},
        {"failure_rate": 1.01},
        {"slow_rate": -1.0},
        {"sleep_seconds": 0.0},
        {"window_seconds": float("nan")},
        {"buckets": 0},
        {"probes": 0},
        {"minimum_calls": 0},
        {"window_calls": 19},
    ],
)
def test_figures_that_make_no_sense_are_refused(config):
    with pytest.raises(ValueError, match=next(iter(config))):
        BreakerConfig(**config)


class AgainstTheModel(RuleBasedStateMachine):
    """Calls begin, last, and end in any order; the model keeps a list of all verdicts and judges by reading it."""

    config = BreakerConfig(
        minimum_calls=4, window_seconds=8.0, buckets=8, probes=2, slow_seconds=2.0, slow_rate=0.75, sleep_seconds=4.0
    )

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.breaker = CircuitBreaker(self.clock, self.config)
        self.running = []
        self.model = State.CLOSED
        self.verdicts = []
        self.let_through, self.ended = 0, []
        self.opened = self.half_opened = 0.0

    @property
    def now(self):
        return self.clock.monotonic()

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 3.0, 4.0, 9.0]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def a_call_begins(self):
        if self.model is State.OPEN and self.now - self.opened >= 4.0:
            self.model, self.half_opened, self.let_through, self.ended = State.HALF_OPEN, self.now, 0, []
        if self.model is State.HALF_OPEN and self.let_through == 2 and self.now - self.half_opened >= 4.0:
            self.half_opened, self.let_through, self.ended = self.now, 0, []
        expected = self.model is State.CLOSED or (self.model is State.HALF_OPEN and self.let_through < 2)
        assert self.breaker.allow() == expected
        if expected:
            self.running.append(self.now)
            self.let_through += self.model is State.HALF_OPEN

    @precondition(lambda self: self.running)
    @rule(data=st.data(), verdict=st.sampled_from(["success", "failure", "release"]))
    def a_call_ends(self, data, verdict):
        began = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        seconds = self.now - began
        getattr(self.breaker, verdict)(seconds)
        failed, slow = verdict == "failure", seconds > 2.0
        if self.model is State.CLOSED and verdict != "release":
            self.verdicts.append((int(self.now), failed, slow))
            window = [v for v in self.verdicts if v[0] > int(self.now) - 8]
            failures, slows = sum(v[1] for v in window), sum(v[2] for v in window)
            if (failed or slow) and len(window) >= 4 and (failures >= 0.5 * len(window) or slows >= 0.75 * len(window)):
                self.model, self.opened = State.OPEN, self.now
        elif self.model is State.HALF_OPEN and began > self.opened:
            self.a_probe_ends(verdict, failed=failed, slow=slow)

    def a_probe_ends(self, verdict, *, failed, slow):
        if verdict == "release":
            self.let_through = max(0, self.let_through - 1)
            return
        self.ended.append((failed, slow))
        if sum(v[0] for v in self.ended) >= 1 or sum(v[1] for v in self.ended) >= 1.5:
            self.model, self.opened = State.OPEN, self.now
        elif len(self.ended) >= 2:
            self.model, self.verdicts = State.CLOSED, []

    @invariant()
    def the_states_agree(self):
        assert self.breaker.state is self.model


AgainstTheModel.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAgainstTheModel = AgainstTheModel.TestCase
