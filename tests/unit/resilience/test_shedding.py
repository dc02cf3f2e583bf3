"""What is left out when there is too much: the policy alone, and the published proofs on virtual time."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.priority import Priority
from kinema.resilience.codel import CoDel
from kinema.resilience.shedding import KNEE, LoadShedder, Shedder, cut, queue_pressure
from tests.support.fleet import Fleet

PRESSURES = st.floats(0.0, 3.0)


@given(PRESSURES, PRESSURES, st.sampled_from(Priority))
def test_more_pressure_never_cuts_less(one, other, priority):
    low, high = sorted((one, other))
    assert 0.0 <= cut(priority, low) <= cut(priority, high) <= 1.0


@given(PRESSURES)
def test_what_matters_more_is_cut_only_when_all_that_matters_less_is_gone(pressure):
    cuts = [cut(priority, pressure) for priority in Priority]
    for more, less in itertools.pairwise(cuts):
        assert more == 0.0 or less == 1.0


def test_below_the_knee_nothing_is_cut_and_far_above_everything():
    assert [cut(one, KNEE) for one in Priority] == [0.0] * 4
    assert [cut(one, 1.5) for one in Priority] == [1.0] * 4
    assert cut(Priority.BEST_EFFORT, 0.775) == pytest.approx(1 / 8)


@given(st.lists(st.floats(0.0, 0.019), min_size=1), st.floats(0.0, 10.0))
def test_a_queue_that_empties_now_and_then_does_not_stand(short, burst):
    codel = CoDel()
    now = 0.0
    for wait in short:
        for _ in range(10):
            now += 0.01
            codel.waited(now, burst)
            codel.waited(now, wait)
        assert codel.excess(now) == 0.0


def test_a_queue_stands_when_nobody_came_through_at_once_for_a_whole_interval():
    codel = CoDel()
    for step in range(60):
        codel.waited(step * 0.01, 0.1)
    assert codel.standing(0.6) == pytest.approx(0.1)
    assert codel.excess(0.6) == pytest.approx(4.0)
    assert queue_pressure(codel.excess(0.6)) == pytest.approx(0.76)
    codel.waited(0.61, 0.001)
    assert codel.excess(0.61) == 0.0
    for step in range(60):
        codel.waited(1 + step * 0.01, 0.1)
    assert codel.standing(3.0) == 0.0  # nobody came for a while


def test_waiting_alone_never_cuts_what_matters_most():
    assert cut(Priority.CRITICAL, queue_pressure(1e9)) == 0.0
    assert cut(Priority.DEGRADED, queue_pressure(1e9)) == 1.0


def test_one_long_wait_proves_nothing():
    codel = CoDel()
    for now in (0.0, 0.25, 0.5, 0.75):
        codel.waited(now, 1.0)
        assert codel.excess(now + 0.2) == 0.0


def test_three_long_waits_prove_nothing_and_a_fourth_does():
    codel = CoDel()
    for now in (0.0, 0.15, 0.3):
        codel.waited(now, 1.0)
        assert codel.excess(now) == codel.excess(now + 0.1) == 0.0
    codel.waited(0.45, 1.0)
    codel.waited(0.6, 1.0)  # the first of the next interval
    assert codel.excess(0.6) == pytest.approx(49.0)
    assert codel.excess(0.6, 0.1) == pytest.approx(4.0)  # his own wait is of now


def test_where_turns_are_long_a_silence_in_which_somebody_waited_is_no_end_of_the_queue():
    codel = CoDel()
    for number in range(5):
        codel.waited(number * 1.0, 0.9)
    assert codel.standing(4.0) == pytest.approx(0.9)
    codel.waited(5.0, 0.3)  # nobody had waited for 0.7 s
    assert codel.standing(5.0) == 0.0


def test_a_queue_of_known_work_stands_before_two_intervals_have_shown_it():
    codel = CoDel()
    assert codel.excess(0.0, 0.4, 0.4) == 0.0
    assert codel.excess(0.0, 0.5, 0.45) == pytest.approx(24.0)
    assert codel.excess(0.0, 0.5, 0.05) == 0.0  # a wait of the past may be a pause


@given(st.lists(st.tuples(st.sampled_from(Priority), st.floats(0.0, 2.0)), max_size=200))
def test_what_is_under_way_is_counted_exactly(steps):
    shedder = LoadShedder(ManualClock(), random=Random(1))
    admitted = 0
    for priority, seconds in steps:
        if shedder.admit(priority):
            admitted += 1
            if seconds < 1.0:
                shedder.finished(seconds, 0.001)
                admitted -= 1
        assert shedder.in_flight == admitted
    snapshot = shedder.snapshot()
    assert sum(snapshot.admitted.values()) + sum(snapshot.shed.values()) == len(steps)


def test_who_is_refused_comes_back_at_a_random_moment():
    shedder = Shedder(Random(1))
    assert {shedder.refusal("it").retry_after for _ in range(200)} == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_the_published_proof_a_twelvefold_spike_of_prefetches_leaves_user_initiated_requests_alone():
    # Netflix, "Enhancing Netflix Reliability with Service-Level Prioritized Load Shedding" (2024): availability of prefetches
    # fell to 20 % while that of user-initiated requests stayed above 99.4 %.
    fleet = Fleet()
    for number in range(2):
        fleet.add(f"s-{number}")  # each can do 200 a second
    usual = {Priority.CRITICAL: 140.0, Priority.BEST_EFFORT: 100.0}
    fleet.run(20, usual)
    assert fleet.availability(Priority.CRITICAL) == fleet.availability(Priority.BEST_EFFORT) == 1.0
    fleet.clear()
    fleet.run(60, usual | {Priority.BEST_EFFORT: 1200.0})
    assert fleet.availability(Priority.CRITICAL) > 0.994
    assert 0.15 < fleet.availability(Priority.BEST_EFFORT) < 0.25
    fleet.run(5, usual)
    fleet.clear()
    fleet.run(20, usual)
    assert fleet.availability(Priority.CRITICAL) == 1.0
    assert fleet.availability(Priority.BEST_EFFORT) > 0.999


def test_the_same_spike_without_classes_hits_everybody():
    fleet = Fleet()
    for number in range(2):
        fleet.add(f"s-{number}")
    fleet.run(20, {Priority.CRITICAL: 140.0})
    fleet.clear()
    fleet.run(30, {Priority.CRITICAL: 1340.0})
    assert fleet.availability(Priority.CRITICAL) < 0.4


def test_a_premiere_ten_times_the_load_in_ten_seconds_and_instances_added_half_way():
    fleet = Fleet()
    for number in range(2):
        fleet.add(f"s-{number}")
    fleet.run(20, {Priority.CRITICAL: 30.0, Priority.DEGRADED: 170.0})

    def grows(to):
        return lambda seconds: to / 10 + (to - to / 10) * min(1.0, seconds / 10.0)

    fleet.clear()
    fleet.run(20, {Priority.CRITICAL: grows(300.0), Priority.DEGRADED: grows(1700.0)})
    assert fleet.availability(Priority.CRITICAL) > 0.99
    assert fleet.availability(Priority.DEGRADED) < 0.5
    fleet.age = 0.0
    for number in range(2, 14):
        fleet.add(f"s-{number}")
    full = {Priority.CRITICAL: 300.0, Priority.DEGRADED: 1700.0}
    fleet.run(30, full)
    assert fleet.availability(Priority.CRITICAL) > 0.99
    fleet.clear()
    fleet.run(20, full)
    assert fleet.availability(Priority.CRITICAL) == 1.0
    assert fleet.availability(Priority.DEGRADED) > 0.99
