"""Picking policies, without I/O."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.model.discovery import Instance
from kinema.rpc.balance import Balancer
from kinema.rpc.balance.choice_of_two import choose


def instances(count):
    return tuple(Instance("s", f"s-{n}", f"127.0.0.1:{n}", "home", "a", "0") for n in range(1, count + 1))


class Source:
    def __init__(self, count):
        self.found = instances(count)

    def instances(self, service):
        return self.found


@given(st.integers(1, 9), st.integers(), st.lists(st.integers(0, 50), min_size=9, max_size=9))
def test_the_busiest_is_chosen_only_when_alone(count, seed, loads):
    found = instances(count)
    by_address = {one.address: load for one, load in zip(found, loads, strict=False)}
    chosen = choose(found, by_address, Random(seed))
    ordered = sorted(by_address.values())
    if count > 1 and ordered[-1] > ordered[-2]:
        assert by_address[chosen.address] < ordered[-1]


def test_load_spreads_evenly():
    balancer = Balancer(Source(5), ManualClock(), Random(1))
    for _ in range(1000):
        balancer.begin(balancer.pick("s").address)
    assert max(balancer.loads.values()) - min(balancer.loads.values()) <= 6


def test_tried_ones_are_left_out_and_refusing_ones_avoided_for_a_moment():
    clock = ManualClock()
    balancer = Balancer(Source(2), clock, Random(1))
    one, other = (instance.address for instance in instances(2))
    assert {balancer.pick("s", [one]).address for _ in range(20)} == {other}
    assert balancer.pick("s", [one, other]) is None
    balancer.refused(one)
    assert {balancer.pick("s").address for _ in range(20)} == {other}
    assert balancer.pick("s", [other]).address == one
    clock.advance(2.1)
    assert {balancer.pick("s").address for _ in range(20)} == {one, other}
    balancer.refused(one)
    balancer.answered(one)
    assert {balancer.pick("s").address for _ in range(20)} == {one, other}


def test_counts_end_where_they_began():
    balancer = Balancer(Source(1), ManualClock())
    balancer.begin("x")
    balancer.begin("x")
    balancer.end("x")
    assert balancer.loads == {"x": 1}
    balancer.end("x")
    assert balancer.loads == {}
