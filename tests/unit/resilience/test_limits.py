"""Adaptive limits, held against the output of Netflix's own Java and against what each promises."""

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.errors import BadInput
from kinema.resilience.limiter import Limiter
from kinema.resilience.limits import ALGORITHMS, limit
from kinema.resilience.limits.aimd import Aimd
from kinema.resilience.limits.correlated import Correlated
from kinema.resilience.limits.gradient2 import Gradient2
from kinema.resilience.limits.vegas import Vegas
from kinema.resilience.limits.windowed import Windowed
from kinema.resilience.quantiles import Quantiles

GOLDEN = Path(__file__).parents[2] / "data" / "golden_limits.csv"
MS = 1_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("column", "algorithm"),
    [("gradient2", Gradient2()), ("aimd", Aimd()), ("windowed_gradient2", Windowed(Gradient2()))],
)
def test_every_limit_is_the_one_that_netflix_java_gave(column, algorithm):
    with GOLDEN.open() as file:
        rows = list(csv.DictReader(file))
    ours = []
    for row in rows:
        algorithm.sample(int(row["start_ns"]), int(row["rtt_ns"]), int(row["inflight"]), dropped=bool(int(row["drop"])))
        ours.append(algorithm.limit)
    assert len(ours) == 4000
    assert ours == [int(row[column]) for row in rows]


def vegas_at(limit):
    """A Vegas at this limit whose shortest latency is 10 ms and which does not look for a new one soon."""
    vegas = Vegas(first=limit, probes=10_000)
    vegas.sample(0, 10 * MS, limit, dropped=False)
    return vegas


@pytest.mark.parametrize(
    ("first", "rtt", "in_flight", "dropped", "expected"),
    [
        (50, 10 * MS, 50, False, 56),  # no queue: six steps of log10(50) = 1
        (200, 10 * MS, 200, False, 212),  # the steps are 2 from 100 on
        (20, 11 * MS, 20, False, 21),  # a queue of 2: one step
        (20, 13 * MS, 20, False, 20),  # 5: between the bounds
        (20, 20 * MS, 20, False, 19),  # 10: above 6
        (20, 20 * MS, 9, False, 20),  # less than half in use
        (20, 10 * MS, 5, True, 19),  # dropped
        (1, 100 * MS, 1, True, 1),  # never below one
        (1000, 10 * MS, 1000, False, 1000),  # never above the most
    ],
)
def test_vegas_keeps_the_queue_between_its_bounds(first, rtt, in_flight, dropped, expected):
    vegas = vegas_at(first)
    vegas.sample(0, rtt, in_flight, dropped=dropped)
    assert vegas.limit == expected


def test_vegas_takes_the_shortest_latency_anew_and_so_gets_over_a_lasting_change():
    vegas = Vegas(first=20, source=random.Random(1))
    vegas.sample(0, 10 * MS, 20, dropped=False)
    lowest = 20
    for _ in range(2000):
        vegas.sample(0, 40 * MS, vegas.limit, dropped=False)  # four times slower, for good
        lowest = min(lowest, vegas.limit)
    assert lowest < 20
    assert vegas.limit > 100


def feed(algorithm, windows, rtt, *, full=True, dropped=0, start=0, in_flight=None):
    """One window a second of a hundred calls, `dropped` of them without an answer."""
    now = start
    for window in range(windows):
        for call in range(100):
            now = start + window * SECOND + call * 10 * MS
            used = in_flight or (algorithm.limit if full else max(1, algorithm.limit // 8))
            algorithm.sample(now, rtt, used, dropped=call < dropped)
    return now + 10 * MS


def test_the_default_does_not_grow_on_a_callee_that_has_nothing_to_do():
    correlated = Correlated(first=20, most=200)
    feed(correlated, 60, 10 * MS, in_flight=2)
    assert correlated.limit == 10  # five times what was in flight


def test_the_default_shrinks_by_a_tenth_a_window_while_calls_are_dropped():
    correlated = Correlated(first=100, most=200)
    feed(correlated, 10, 10 * MS, dropped=50)
    assert correlated.limit == pytest.approx(100 * 0.9**9, abs=2)  # the first second only sets the window


def test_the_default_shrinks_when_latency_doubles():
    correlated = Correlated(first=100, most=100)
    end = feed(correlated, 30, 10 * MS)
    before = correlated.limit
    feed(correlated, 8, 40 * MS, start=end)
    assert correlated.limit < before


@pytest.mark.parametrize("name", [*ALGORITHMS, "windowed"])
@given(
    samples=st.lists(
        st.tuples(
            st.integers(0, 10 * SECOND),  # between two calls
            st.one_of(st.integers(0, 1000), st.integers(0, 100 * SECOND)),
            st.integers(1, 1000),
            st.booleans(),
        ),
        max_size=300,
    )
)
def test_a_limit_stays_within_its_bounds_whatever_it_hears(name, samples):
    algorithm = Windowed(Gradient2(most=90)) if name == "windowed" else limit(name, first=20, most=90)
    now = 0
    for gap, rtt, in_flight, dropped in samples:
        now += gap
        algorithm.sample(now, rtt, in_flight, dropped=dropped)
        assert 1 <= algorithm.limit <= 90


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_row_of_the_table_makes_a_limit(name):
    assert limit(name, first=30, most=40).limit == 30


def test_a_name_that_is_not_in_the_table_is_refused():
    with pytest.raises(BadInput, match="correlated"):
        limit("gradient3")


@pytest.mark.parametrize("bounds", [{"first": 0}, {"first": 50, "most": 40}, {"first": 3, "least": 4}])
@pytest.mark.parametrize("kind", [Aimd, Gradient2, Correlated])
def test_bounds_out_of_order_are_refused(kind, bounds):
    with pytest.raises(ValueError, match="in this order"):
        kind(**bounds)


@given(st.lists(st.floats(0.0, 20_000.0), min_size=1, max_size=200))
def test_durations_that_are_recorded_at_once_count_as_each_by_itself(durations):
    one, other = Quantiles(), Quantiles()
    for seconds in durations:
        one.record(seconds)
    other.extend(durations)
    shares = (0.0, 0.1, 0.5, 0.9, 1.0)
    assert [one.quantile(share) for share in shares] == [other.quantile(share) for share in shares]
    assert one.count == other.count


@pytest.mark.parametrize("name", ALGORITHMS)
@given(calls=st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 300)), max_size=300))
def test_answers_that_come_by_one_are_samples(name, calls):
    one, other = (
        limit(name, first=20, most=300, **({"source": random.Random(1)} if name == "vegas" else {"least": 5}))
        for _ in range(2)
    )
    now = SECOND
    for milliseconds, in_flight in calls:
        now += 20 * MS
        one.sample(now - milliseconds * MS, milliseconds * MS, in_flight, dropped=False)
    now = SECOND
    for milliseconds, in_flight in calls:
        now += 20 * MS
        other.answered([milliseconds / 1000], now, in_flight)
    assert other.limit == one.limit


def test_a_limiter_learns_later_of_calls_that_were_given_back():
    clock = ManualClock()
    early, late = (Limiter(limit(first=20, least=5, most=300), clock) for _ in range(2))
    for _ in range(200):
        for _ in range(10):
            early.try_acquire()
            late.take()
        clock.advance(0.1)
        for _ in range(10):
            early.release(0.1)
            late.ignore()
        late.learn([0.1] * 10, clock.monotonic(), 10)
    assert (late.snapshot(), late.in_flight) == (early.snapshot(), 0)


def test_a_limiter_counts_what_is_under_way():
    clock = ManualClock()
    limiter = Limiter(Aimd(first=20, least=2, most=21), clock)
    assert [limiter.try_acquire() for _ in range(21)] == [True] * 20 + [False]
    limiter.release(0.01)
    assert (limiter.limit, limiter.in_flight) == (21, 19)
    assert [limiter.try_acquire() for _ in range(3)] == [True, True, False]
    limiter.ignore()
    assert (limiter.limit, limiter.in_flight) == (21, 20)
    limiter.release(0.01, dropped=True)
    limiter.release(6.0)  # over five seconds is as good as dropped
    assert (limiter.limit, limiter.in_flight) == (16, 18)
    assert limiter.snapshot().refused == 2
