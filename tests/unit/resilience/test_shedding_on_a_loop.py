"""What is left out where requests are worked on by the loop that reads them: the waits are told by its turns, on virtual time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.core.priority import Priority
from kinema.resilience.backlog import Backlog
from kinema.resilience.turns import Turns
from tests.support.loops import SimulatedLoop

AWAY = [None, 0.0001, 0.05, 0.4]


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize(("holds", "rate"), [(0.016, 15.0), (0.1, 2.4)])
@pytest.mark.parametrize("priority", [Priority.DEGRADED, Priority.BEST_EFFORT, Priority.BULK])
def test_a_twelvefold_spike_leaves_what_matters_most_alone_and_nobody_waits_long(away, holds, rate, priority):
    loop = SimulatedLoop(holds, away=away)
    usual = {Priority.CRITICAL: rate, priority: rate}  # half of what the loop can do
    loop.run(10, usual)
    assert all(one.taken for one in loop.answers)
    loop.answers.clear()
    begin = loop.now
    loop.run(20, usual | {priority: 12 * rate})
    assert loop.taken(Priority.CRITICAL) == 1.0
    left = (1 / holds - rate) / (12 * rate)  # what the loop can do beside, 0.25 to 0.26
    assert 0.6 * left < loop.taken(priority) < left + 0.05
    # Once it is seen, what is under way and in line is worth some hundred milliseconds, or eight requests.
    assert loop.slowest(Priority.CRITICAL, begin + 3) < (away or 0.0) * 1.5 + max(0.75, 14 * holds)
    loop.answers.clear()
    loop.run(10, usual)
    assert loop.taken(priority, loop.now - 9) > 0.98


@pytest.mark.parametrize("away", AWAY[:3])  # with more, the limit of requests under way presses, too
def test_a_loop_that_is_busy_but_answers_in_time_refuses_nobody(away):
    loop = SimulatedLoop(0.002, away=away)
    loop.run(20, {Priority.CRITICAL: 100.0, Priority.BULK: 250.0})  # three quarters of all it can do
    assert all(one.taken for one in loop.answers)


@pytest.mark.parametrize("away", AWAY)
def test_one_long_pause_refuses_nobody_even_where_many_wait_for_its_end(away):
    loop = SimulatedLoop(0.001, away=away)
    loop.run(5, {Priority.BULK: 100.0})
    loop.at(loop.now + 2.0, loop.hold, 1.0)
    loop.run(5, {Priority.BULK: 100.0})
    assert max(one.waited for one in loop.answers) > 0.9
    assert all(one.taken for one in loop.answers)


@pytest.mark.parametrize("away", AWAY)
def test_a_loop_that_other_work_makes_late_refuses_nobody(away):
    loop = SimulatedLoop(0.001, away=away)
    for number in range(1, 40):
        loop.at(loop.now + number * 0.25, loop.hold, 0.1)
    loop.run(10, {Priority.BULK: 60.0})
    assert all(one.taken for one in loop.answers)


def crowd(loop, priority, count):
    """Let so many come at once to a loop that has known work before; return how many of them were taken."""
    loop.run(10, {Priority.CRITICAL: 20.0})
    loop.answers.clear()
    at = loop.now + 0.5
    for _ in range(count):
        loop.at(at, loop._found, priority, at)
    loop.run(1, {Priority.CRITICAL: 1.0})
    return sum(one.taken for one in loop.answers if one.priority is priority)


@pytest.mark.parametrize("away", AWAY)
def test_what_is_over_within_two_intervals_is_a_burst_and_served_whole(away):
    assert crowd(SimulatedLoop(0.02, away=away), Priority.DEGRADED, 20) == 20


@pytest.mark.parametrize("away", AWAY)
def test_a_crowd_that_comes_at_once_is_not_let_in_whole(away):
    # What was let in is worth two intervals at the least, 20 of these; it is seen at once, or after as many intervals.
    assert 20 <= crowd(SimulatedLoop(0.02, away=away), Priority.BEST_EFFORT, 400) <= 35


@settings(max_examples=25, deadline=None)
@given(st.floats(0.001, 0.05), st.sampled_from(AWAY), st.floats(0.2, 4.0), st.integers(0, 1000))
def test_the_wait_is_never_taken_for_more_than_half_a_turn_more_than_it_was(holds, away, load, seed):
    loop = SimulatedLoop(holds, away=away, seed=seed)
    loop.run(3, {Priority.CRITICAL: load / holds})
    for one in loop.answers:
        assert 0.0 <= one.estimate <= one.waited + loop.longest / 2 + 1e-5
    errors = sorted(one.estimate - one.waited for one in loop.answers)
    assert abs(errors[len(errors) // 2]) <= loop.longest / 2 + 1e-5


def test_turns_are_told_until_two_had_no_request():
    turns = Turns()
    assert not turns.told
    assert turns.began(10.0) == 0.0
    assert turns.told
    assert turns.began(10.5) == 0.5  # it was read before the first began
    assert [turns.turned(at) for at in (11.0, 11.1)] == [True, True]
    # Found by the poll at 11.0 at the latest, and not by that at 10.0.
    assert turns.began(11.1) == pytest.approx(0.6)
    assert [turns.turned(at) for at in (11.2, 11.3, 11.4)] == [True, True, False]
    assert not turns.told
    assert turns.began(20.0) == 0.0


def test_work_that_is_let_in_is_known_before_it_is_done():
    backlog = Backlog()
    for _ in range(200):
        backlog.held(0.1)
    for _ in range(5):
        backlog.let_in(10.0)
    assert backlog.seconds(10.0, 5) == pytest.approx(0.5, rel=0.01)
    assert backlog.seconds(10.3, 5) == pytest.approx(0.2, rel=0.02)
    assert backlog.seconds(10.3, 1) == pytest.approx(0.1, rel=0.01)  # the others are over already
    assert backlog.seconds(10.0, 0) == 0.0
    backlog.let_in(20.0)
    assert backlog.seconds(20.0, 1) == pytest.approx(0.1, rel=0.01)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans(), st.floats(0.0, 2.0))))
def test_no_more_work_is_told_than_all_under_way_can_be(steps):
    backlog = Backlog()
    now, under_way, longest = 0.0, 0, 0.0
    for passed, comes, held in steps:
        now += passed
        if comes:
            backlog.let_in(now)
            under_way += 1
        elif under_way:
            backlog.held(held)
            under_way -= 1
            longest = max(longest, held)
        assert 0.0 <= backlog.seconds(now, under_way) <= under_way * longest


def test_a_first_request_that_takes_long_says_little_about_the_next():
    backlog = Backlog()
    backlog.held(1.0)
    for _ in range(8):
        backlog.let_in(5.0)
    assert backlog.seconds(5.0, 8) == pytest.approx(0.25)
