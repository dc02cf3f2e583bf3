"""Zones, subsets and outliers: the policies alone."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.rpc.balance import outliers, slow_start, subset
from kinema.rpc.balance.zones import Zone, shares

NAMES = st.sampled_from("abcd")
ZONES = st.dictionaries(NAMES, st.builds(Zone, st.integers(0, 20), st.floats(0, 1)), min_size=1)


@given(NAMES, ZONES, st.dictionaries(NAMES, st.integers(0, 20)))
def test_the_parts_add_up_and_go_to_zones_that_can_take_them(own, zones, callers):
    parts = shares(own, zones, callers)
    usable = {name for name, zone in zones.items() if zone.usable}
    assert set(parts) <= usable
    assert bool(parts) == bool(usable)
    if parts:
        assert sum(parts.values()) == pytest.approx(1.0)
        assert min(parts.values()) >= 0.0


@given(NAMES, st.dictionaries(NAMES, st.integers(1, 20), min_size=1))
def test_a_zone_with_its_part_of_the_capacity_keeps_everything(own, counts):
    zones = {name: Zone(count) for name, count in counts.items()}
    assert shares(own, zones, counts) == ({own: 1.0} if own in counts else shares(own, zones, {}))


@given(st.dictionaries(NAMES, st.integers(1, 20), min_size=2), st.dictionaries(NAMES, st.integers(1, 20), min_size=2))
def test_every_zone_gets_by_its_capacity_when_all_callers_follow_the_rule(capacity, callers):
    callers = {name: count for name, count in callers.items() if name in capacity}
    if not callers:
        return
    zones = {name: Zone(count) for name, count in capacity.items()}
    arriving = dict.fromkeys(capacity, 0.0)
    for own, count in callers.items():
        for name, part in shares(own, zones, callers).items():
            arriving[name] += part * count / sum(callers.values())
    for name, part in arriving.items():
        assert part == pytest.approx(capacity[name] / sum(capacity.values()))


def test_what_a_zone_lacks_is_sent_away_and_no_more():
    assert shares("a", {"a": Zone(1), "b": Zone(3)}, {"a": 1, "b": 1}) == {"a": 0.5, "b": 0.5}
    assert shares("a", {"a": Zone(2), "b": Zone(3)}, {"a": 1, "b": 1}) == pytest.approx({"a": 0.8, "b": 0.2})
    assert shares("a", {"a": Zone(0), "b": Zone(3)}, {"a": 1, "b": 1}) == {"b": 1.0}


def test_a_busy_zone_sends_away_what_others_can_take():
    callers = {"a": 1, "b": 1}

    def stays(mine, theirs):
        return shares("a", {"a": Zone(2, mine), "b": Zone(2, theirs)}, callers)["a"]

    assert stays(0.8, 0.1) == 1.0
    assert stays(0.9, 0.1) == pytest.approx(0.75)
    assert stays(1.0, 0.1) == pytest.approx(0.5)
    assert stays(0.9, 0.95) == 1.0


@given(st.integers(1, 60), st.integers(1, 60))
def test_subsets_cover_every_instance_equally(callers, count):
    weights = [0.0] * count
    for caller in range(callers):
        used = subset.covered(*subset.arc(caller, callers, count), count)
        assert len({place for place, _ in used}) == len(used) >= min(count, subset.LEAST)
        for place, part in used:
            weights[place] += part
    assert max(weights) - min(weights) == pytest.approx(0.0, abs=1e-6)


@given(st.integers(30, 80), st.integers(1, 20), st.data())
def test_a_subset_changes_little_when_an_instance_comes(count, callers, data):
    names = [f"s-{n}" for n in range(count)]
    caller = data.draw(st.integers(0, callers - 1))

    def used(known):
        ring = subset.order(known)
        return {known[ring[place]] for place, _ in subset.covered(*subset.arc(caller, callers, len(known)), len(known))}

    before, after = used(names), used([*names, "s-new"])
    # Each caller has at least 12; by how much the arc is longer than that changes with the count too.
    assert len(before - after) <= 2 + abs(len(before) - len(after))


@given(st.lists(st.text(max_size=8), unique=True, max_size=30))
def test_a_ring_holds_everybody_once_whatever_the_order_of_the_list(names):
    ring = [names[index] for index in subset.order(names)]
    assert sorted(ring) == sorted(names)
    backwards = names[::-1]
    assert [backwards[index] for index in subset.order(backwards)] == ring


def test_few_instances_are_used_by_all_and_a_caller_that_nobody_knows_uses_all():
    assert subset.arc(3, 10, 12) == (0.0, 1.0)
    assert subset.covered(0.0, 1.0, 3) == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert subset.position("x", ["a", "b"]) is None
    assert subset.position("b", ["c", "b", "a"]) == 1


def observed(answers=0, failures=0):
    return SimpleNamespace(
        ejected_until=float("-inf"), ejections=0, interval_answers=answers, interval_failures=failures
    )


@given(st.integers(0, 60))
def test_only_a_tenth_is_ejected_but_one_of_two(count):
    everybody = [observed() for _ in range(count)]
    ejected = sum(outliers.eject(everybody, one, 0.0) for one in everybody)
    assert ejected == (0 if count < 2 else max(1, count // 10))


def test_who_succeeds_much_less_than_the_others_is_ejected():
    everybody = [observed(1000, 10) for _ in range(9)] + [observed(700, 310)]
    outliers.sweep(everybody, 100.0)
    assert [one.ejected_until > 100 for one in everybody] == [False] * 9 + [True]
    assert all(one.interval_answers == one.interval_failures == 0 for one in everybody)


@pytest.mark.parametrize(
    "everybody",
    [
        [observed(1000, 10) for _ in range(3)] + [observed(100, 900)],  # too few instances
        [observed(90, 1) for _ in range(9)] + [observed(1, 90)],  # too few answers
        [observed(500, 500) for _ in range(10)],  # all alike
        [],
    ],
)
def test_without_enough_to_compare_nobody_is_ejected(everybody):
    outliers.sweep(everybody, 100.0)
    assert all(one.ejected_until < 0 for one in everybody)


def test_each_ejection_lasts_longer_and_good_behaviour_is_remembered():
    everybody = [observed(), observed()]
    lasts = []
    now = 0.0
    for _ in range(12):
        outliers.eject(everybody, everybody[0], now)
        lasts.append(everybody[0].ejected_until - now)
        now = everybody[0].ejected_until
    assert lasts == [30.0 * n for n in range(1, 11)] + [300.0, 300.0]
    for interval in range(1, 14):
        outliers.sweep(everybody, now + interval * outliers.INTERVAL_SECONDS)
    assert everybody[0].ejections == 0


@given(st.floats(-10, 1000), st.floats(-10, 1000))
def test_a_share_grows_with_age(one, other):
    young, old = sorted((one, other))
    assert slow_start.LEAST <= slow_start.weight(young) <= slow_start.weight(old) <= 1.0
