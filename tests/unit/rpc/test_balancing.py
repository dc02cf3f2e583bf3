"""The balancer on a clock that is moved by hand: who is picked, who is left alone, and for how long."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.http import ConnectFailed, ConnectionLost, Headers, PoolFull, TimedOut
from kinema.model.discovery import Instance
from kinema.resilience.errors import CircuitOpen, LimitReached
from kinema.rpc.balance import Balancer, GuardLimits, Outcome, outcome_of_error, outcome_of_status
from kinema.rpc.balance.choice_of_two import choose
from kinema.rpc.balance.health import Health, penalty


def instances(count, service="s", zones=("a",), **metadata):
    return tuple(
        Instance(service, f"{service}-{n}", f"127.0.0.1:{n}", "home", zones[n % len(zones)], "0", metadata)
        for n in range(1, count + 1)
    )


class Source:
    """A list of instances that a test changes."""

    def __init__(self, found):
        self.found = found

    def instances(self, service):
        return self.found


def balancer_of(count, clock, **options):
    return Balancer(Source(instances(count)), clock, Random(1), **options)


def run(balancer, outcome, count=1, seconds=0.01, tried=()):
    """Send requests one after the other, all with this outcome; return where they went."""
    went = []
    for _ in range(count):
        one = balancer.pick("s", tried)
        balancer.end(balancer.begin(one), outcome(one) if callable(outcome) else outcome, seconds)
        went.append(one.instance)
    return went


class Card:
    def __init__(self, in_flight, penalty=1.0, weight=1.0, *, proven=True):
        self.in_flight, self.penalty, self.weight, self.proven = in_flight, penalty, weight, proven


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.integers())
def test_the_busiest_is_chosen_only_when_alone(loads, seed):
    cards = [Card(load) for load in loads]
    chosen = choose(cards, Random(seed).random)
    ordered = sorted(loads)
    if len(loads) > 1 and ordered[-1] > ordered[-2]:
        assert chosen.in_flight < ordered[-1]


@given(st.integers(0, 20), st.floats(1.0, 20.0), st.integers())
def test_a_dearer_one_counts_as_so_many_times_busier(in_flight, dearer, seed):
    ill, well = Card(in_flight, penalty=dearer), Card(int((in_flight + 1) * dearer))
    chosen = choose([ill, well], Random(seed).random)
    assert chosen is (ill if (ill.in_flight + 1) * dearer < well.in_flight + 1 else chosen)
    assert (chosen.in_flight + 1) * chosen.penalty <= max((ill.in_flight + 1) * dearer, well.in_flight + 1)


def test_load_spreads_evenly():
    balancer = balancer_of(5, ManualClock())
    for _ in range(150):
        balancer.begin(balancer.pick("s"))
    loads = [state.in_flight for state in balancer.snapshot().instances]
    assert sum(loads) == balancer.in_flight == 150
    assert max(loads) - min(loads) <= 4


def test_tried_ones_are_left_out_and_refusing_ones_avoided_for_a_moment():
    clock = ManualClock()
    balancer = balancer_of(2, clock)
    one, other = instances(2)
    assert set(run(balancer, Outcome.ANSWERED, 20, tried=[one.address])) == {"s-2"}
    assert balancer.pick("s", [one.address, other.address]) is None
    run(balancer, Outcome.REFUSED, tried=[other.address])
    assert set(run(balancer, Outcome.ANSWERED, 20)) == {"s-2"}
    assert balancer.pick("s", [other.address]) == one
    clock.advance(2.2)
    assert set(run(balancer, Outcome.ANSWERED, 80)) == {"s-1", "s-2"}
    run(balancer, Outcome.REFUSED, tried=[other.address])
    run(balancer, Outcome.ANSWERED, tried=[other.address])
    assert set(run(balancer, Outcome.ANSWERED, 80)) == {"s-1", "s-2"}


def test_without_anybody_there_is_nobody_to_pick_and_the_reason_is_said():
    balancer = Balancer(Source(()), ManualClock())
    assert balancer.pick("s") is None
    assert "No instance of s is running" in str(balancer.refusal("s"))
    balancer.end(balancer.begin(instances(1)[0]), Outcome.ANSWERED, 1.0)
    assert balancer.in_flight == 0


def test_five_failures_in_a_row_eject_one_of_two_for_half_a_minute_and_then_for_longer():
    clock = ManualClock()
    balancer = balancer_of(2, clock)

    def ill(one):
        return Outcome.FAILED if one.instance == "s-1" else Outcome.ANSWERED

    other = [instances(2)[1].address]
    run(balancer, ill, 4, tried=other)
    assert balancer.snapshot().instances[0].ejected_seconds == 0
    run(balancer, ill, 1, tried=other)
    assert balancer.snapshot().instances[0].ejected_seconds == 30
    assert set(run(balancer, ill, 50)) == {"s-2"}
    clock.advance(30.2)
    assert "s-1" in run(balancer, Outcome.ANSWERED, 50)
    run(balancer, ill, 5, tried=other)
    assert 30 < balancer.snapshot().instances[0].ejected_seconds <= 60


def test_the_only_one_is_never_ejected_but_its_breaker_opens_half_opens_and_closes():
    clock = ManualClock()
    balancer = balancer_of(1, clock)
    run(balancer, Outcome.FAILED, 20)
    [state] = balancer.snapshot().instances
    assert (state.breaker, state.ejected_seconds) == ("open", 0)
    assert balancer.pick("s") is None
    refusal = balancer.refusal("s")
    assert isinstance(refusal, CircuitOpen)
    assert refusal.retry_after == 5.0
    clock.advance(5.1)
    probe = balancer.begin(balancer.pick("s"))
    assert balancer.snapshot().instances[0].breaker == "half-open"
    assert balancer.pick("s") is None  # one probe at a time
    balancer.end(probe, Outcome.ANSWERED, 0.01)
    assert balancer.snapshot().instances[0].breaker == "closed"
    assert run(balancer, Outcome.ANSWERED, 5) == ["s-1"] * 5


def test_a_probe_that_says_nothing_is_given_back():
    clock = ManualClock()
    balancer = balancer_of(1, clock)
    run(balancer, Outcome.FAILED, 20)
    clock.advance(5.1)
    run(balancer, Outcome.ABANDONED, 1)
    assert balancer.snapshot().instances[0].breaker == "half-open"
    run(balancer, Outcome.ANSWERED, 1)
    assert balancer.snapshot().instances[0].breaker == "closed"


def test_a_full_instance_is_passed_over_and_when_all_are_full_nobody_is_picked():
    limits = GuardLimits(first=3, least=3, most=10)
    clock = ManualClock()
    balancer = balancer_of(2, clock, limits=limits)
    held = [balancer.begin(balancer.pick("s")) for _ in range(6)]
    assert [state.in_flight for state in balancer.snapshot().instances] == [3, 3]
    assert balancer.pick("s") is None
    assert isinstance(balancer.refusal("s"), LimitReached)
    clock.advance(0.2)
    assert balancer.pick("s") is None
    assert balancer.pressure("s") == 1.0
    balancer.end(next(one for one in held if one.instance.instance == "s-2"), Outcome.ANSWERED, 0.01)
    assert balancer.pick("s").instance == "s-2"


def test_what_is_not_timed_takes_a_place_but_not_of_the_limit():
    balancer = balancer_of(1, ManualClock(), limits=GuardLimits(first=2, least=2, most=2, places=5))
    for _ in range(4):
        balancer.begin(balancer.pick("s"), timed=False)
    one = balancer.begin(balancer.pick("s"))
    assert balancer.pick("s") is None  # five places
    balancer.end(one, Outcome.ANSWERED, None)
    assert balancer.in_flight == 4


def test_a_shedding_instance_is_full_not_ill():
    balancer = balancer_of(2, ManualClock())
    other = [instances(2)[1].address]
    run(balancer, Outcome.SHED, 30, tried=other)
    first = balancer.snapshot().instances[0]
    assert (first.breaker, first.ejected_seconds, first.failure_rate, first.utilisation) == ("closed", 0, 0, 1.0)


def test_who_is_slow_or_fails_gets_less_and_is_tried_again_with_time():
    clock = ManualClock()
    balancer = balancer_of(3, clock)
    for _ in range(300):
        one = balancer.pick("s")
        ill = one.instance == "s-1"
        balancer.end(balancer.begin(one), Outcome.ANSWERED, 1.0 if ill else 0.01)
        clock.advance(0.01)
    slow, *others = balancer.snapshot().instances
    assert slow.penalty > 2
    assert [other.penalty for other in others] == [1.0, 1.0]
    went = run(balancer, Outcome.ANSWERED, 100)
    assert went.count("s-1") == 0
    clock.advance(60)
    assert run(balancer, Outcome.ANSWERED, 90).count("s-1") > 15


def test_the_utilisation_that_an_instance_reports_counts_until_it_is_old():
    clock = ManualClock()
    balancer = balancer_of(2, clock)
    one = balancer.pick("s", [instances(2)[1].address])
    balancer.end(balancer.begin(one), Outcome.ANSWERED, 0.01, Headers({b"x-kinema-utilisation": b"0.95"}))
    clock.advance(0.2)
    assert set(run(balancer, Outcome.ANSWERED, 20)) == {"s-2"}
    clock.advance(5.1)
    assert set(run(balancer, Outcome.ANSWERED, 40)) == {"s-1", "s-2"}


@pytest.mark.parametrize("value", [b"", b"x", b"nan", b"-1", b"-inf", b"\xff", b"1e999", b"9" * 5000])
def test_what_is_no_utilisation_harms_nobody(value):
    balancer = balancer_of(1, ManualClock())
    one = balancer.pick("s")
    balancer.end(balancer.begin(one), Outcome.ANSWERED, 0.01, Headers({b"x-kinema-utilisation": value}))
    assert 0.0 <= balancer.snapshot().instances[0].utilisation <= 1.0
    assert balancer.pick("s") == one


def test_who_leaves_is_forgotten_and_who_comes_again_begins_anew():
    clock = ManualClock()
    source = Source(instances(2))
    balancer = Balancer(source, clock, Random(1))
    run(balancer, Outcome.FAILED, 5, tried=[instances(2)[1].address])
    source.found = instances(1)[:0] + instances(2)[1:]
    assert balancer.pick("s").instance == "s-2"
    assert [state.instance for state in balancer.snapshot().instances] == ["s-2"]
    source.found = instances(2)
    assert balancer.pick("s") is not None
    assert [state.ejections for state in balancer.snapshot().instances] == [0, 0]
    restarted = msgspec.structs.replace(instances(2)[0], metadata={"started": "1699999999.0"})
    run(balancer, Outcome.FAILED, 3, tried=[instances(2)[1].address])
    source.found = (restarted, instances(2)[1])
    assert balancer.pick("s", [instances(2)[1].address]) == restarted
    assert balancer.snapshot().instances[0].failure_rate == 0.0


def test_a_new_instance_gets_its_share_slowly_and_none_when_it_does_not_answer():
    clock = ManualClock()
    source = Source(instances(4, started=str(clock.now() - 1000)))
    balancer = Balancer(source, clock, Random(1))
    run(balancer, Outcome.ANSWERED, 10)
    fresh = Instance("s", "s-9", "127.0.0.1:9", "home", "a", "0", {"started": str(clock.now())})
    source.found = (*source.found, fresh)
    held = []
    for _ in range(400):
        one = balancer.begin(balancer.pick("s"))
        if one.instance.instance == "s-9":
            held.append(one)
        else:
            balancer.end(one, Outcome.ANSWERED, 0.01)
    assert len(held) == 1
    balancer.end(held[0], Outcome.ANSWERED, 0.01)
    shares = []
    for _ in range(4):
        went = []
        for _ in range(1000):
            clock.advance(0.01)
            went += run(balancer, Outcome.ANSWERED)
        shares.append(went.count("s-9") / 1000)
    assert shares[0] < 0.1
    assert shares == sorted(shares)
    assert 0.15 < shares[3] < 0.25


def test_when_everybody_is_new_nobody_is_held_back():
    clock = ManualClock()
    balancer = Balancer(Source(instances(3, started=str(clock.now()))), clock, Random(1))
    run(balancer, Outcome.ANSWERED)
    assert [state.weight for state in balancer.snapshot().instances] == [1.0, 1.0, 1.0]


def test_a_failure_fades():
    health = Health(0.0)
    health.failures = 10
    health.fold(0.0)
    rates = []
    for now in (1.0, 5.0, 10.0, 30.0, 100.0):
        health.fold(now)
        rates.append(health.failure_rate)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.3
    assert rates[-1] < 0.001


@given(
    st.floats(0, 1), st.none() | st.floats(0.0, 1e6), st.none() | st.floats(0.0, 1e6), st.floats(0, 1), st.floats(0, 1)
)
def test_nobody_is_cheaper_than_a_healthy_one_and_worse_is_never_cheaper(rate, latency, mean, one, other):
    costs = [penalty(rate, latency, mean, utilisation) for utilisation in sorted((one, other))]
    assert 1.0 <= costs[0] <= costs[1] < 1100
    assert penalty(0.0, latency, mean, one) <= penalty(rate, latency, mean, one)


def test_how_an_attempt_ended():
    statuses = [(200, False), (404, False), (429, False), (500, False), (501, False), (503, False), (503, True)]
    assert [outcome_of_status(status, shed=shed) for status, shed in statuses] == [
        *[Outcome.ANSWERED] * 3,
        Outcome.FAILED,
        Outcome.ANSWERED,
        Outcome.FAILED,
        Outcome.SHED,
    ]
    errors = [ConnectFailed("x"), PoolFull("x"), TimedOut("x"), ConnectionLost("x")]
    assert [outcome_of_error(error) for error in errors] == [
        Outcome.REFUSED,
        Outcome.SHED,
        Outcome.TIMED_OUT,
        Outcome.FAILED,
    ]


def test_of_many_answers_everybody_learns_at_once_and_of_each_before_a_failure():
    clock = ManualClock()
    balancer = balancer_of(1, clock)
    for number in range(10):
        balancer.end(balancer.begin(balancer.pick("s")), Outcome.ANSWERED, 0.01 * (number + 1))
        clock.advance(0.001)
    balancer.end(balancer.begin(balancer.pick("s")), Outcome.FAILED, 0.5)
    state = balancer.snapshot().instances[0]
    assert (state.breaker_calls, state.breaker_failures) == (11, 1)
    ((_, guards),) = balancer.guarded()
    latency = guards.breaker.snapshot().latency
    assert (latency.count, latency.percentiles[2]) == (11, 0.06)
    assert (guards.limiter.snapshot().admitted, guards.places_snapshot().admitted) == (11, 11)


def test_answers_count_for_the_time_in_which_they_came_however_late_it_is_learnt():
    clock = ManualClock()
    balancer = balancer_of(1, clock)
    for _ in range(40):
        balancer.end(balancer.begin(balancer.pick("s")), Outcome.ANSWERED, 0.01)
    clock.advance(30)
    run(balancer, Outcome.FAILED, 20)
    assert balancer.snapshot().instances[0].breaker == "open"


def test_what_an_instance_answers_after_it_has_left_is_not_counted():
    source = Source(instances(2))
    balancer = Balancer(source, ManualClock(), Random(1))
    held = [balancer.begin(balancer.pick("s")) for _ in range(6)]
    source.found = instances(2)[1:]
    balancer.pick("s")
    stays = sum(one.instance.instance == "s-2" for one in held)
    assert balancer.in_flight == stays
    for one in held:
        balancer.end(one, Outcome.ANSWERED, 0.01)
    assert balancer.in_flight == 0
