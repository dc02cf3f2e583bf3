import itertools
import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kinema.cluster.autoscaling import Autoscaler, Plan

PLAN = Plan(least=2, most=16)


def follow(plan, demands, step=1.0):
    """Return how many instances there were at each step; a wish is granted at once, warm or not."""
    scaler, running, seen = Autoscaler(plan), plan.least, []
    for number, demand in enumerate(demands):
        running = scaler.desired(number * step, min(demand, running), running)
        seen.append(running)
    return seen


def test_a_steady_demand_gets_what_keeps_each_at_the_target():
    assert follow(PLAN, [3.0] * 300)[-1] == math.ceil(3.0 / 0.6)


def test_demand_within_a_tenth_of_the_target_changes_nothing():
    scaler = Autoscaler(PLAN)
    for second in range(300):
        assert scaler.desired(second, 6 * 0.6 * (1.09 if second % 2 else 0.91), 6) == 6


def test_it_grows_before_the_demand_is_there():
    # Ten instances' worth within 20 s: at every moment the prediction is ahead of what is measured.
    scaler, ahead = Autoscaler(PLAN), []
    for second in range(20):
        demand = 0.5 * second
        scaler.desired(second, demand, 16)
        ahead.append(scaler.predicted > demand)
    assert all(ahead[5:])


def test_it_never_more_than_doubles_and_waits_for_those_to_be_warm():
    scaler, running, changes = Autoscaler(PLAN), 2, []
    for tenth in range(600):
        now = tenth / 10
        desired = scaler.desired(now, float(running), running)
        if desired != running:
            assert desired <= 2 * running
            changes.append(now)
        running = desired
    assert running == PLAN.most
    assert all(later - earlier >= PLAN.warm_up_seconds for earlier, later in itertools.pairwise(changes))


def test_a_lull_takes_nothing_away_and_a_quiet_time_takes_one_at_a_time():
    demands = [6.0] * 60 + [0.5] * 60 + [6.0] * 60 + [0.5] * 400
    seen = follow(Plan(least=2, most=16, in_seconds=120.0), demands)
    assert min(seen[20:180]) == seen[59]
    assert seen[-1] == 2
    assert all(earlier - later <= 1 for earlier, later in itertools.pairwise(seen))


@given(
    seed=st.integers(0, 1000),
    least=st.integers(1, 5),
    extra=st.integers(0, 20),
    length=st.integers(1, 200),
)
def test_whatever_the_demand_the_bounds_hold(seed, least, extra, length):
    random = Random(seed)
    plan = Plan(least=least, most=least + extra)
    for running in follow(plan, [random.choice((0.0, 1.0, 1e6)) * random.random() for _ in range(length)]):
        assert plan.least <= running <= plan.most


def test_a_premiere_of_ten_times_the_demand_within_ten_seconds_is_met_within_half_a_minute():
    # What is measured is what the instances can do: beyond their number nothing is used, only refused. Those started
    # less than a warm-up ago do nothing yet.
    plan = Plan(least=2, most=32)
    scaler, started = Autoscaler(plan), [-100.0, -100.0]
    met_at = None
    for tenth in range(600):
        now = tenth / 10
        offered = 1.0 if now < 10 else min(10.0, 1.0 + 0.9 * (now - 10))
        warm = sum(1 for at in started if now - at >= plan.warm_up_seconds)
        if tenth % 20 == 0:
            desired = scaler.desired(now, min(offered, float(warm)), len(started))
            started = started[:desired] + [now] * (desired - len(started))
        if offered == 10.0 and warm >= 10 and met_at is None:
            met_at = now
    assert met_at is not None
    assert met_at <= 40.0
