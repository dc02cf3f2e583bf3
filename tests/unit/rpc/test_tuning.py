"""Breakers and retry budgets that operators change while calls go on."""

import pytest

from kinema.core.clock import ManualClock
from kinema.core.properties import Properties, PropertyRefused
from kinema.core.property_scope import Override
from kinema.resilience.errors import CircuitOpen
from kinema.rpc import tuning
from kinema.rpc.balance import Outcome
from kinema.rpc.budgets import Budgets
from tests.unit.rpc.test_balancing import balancer_of, run


@pytest.fixture
def tuned():
    clock = ManualClock()
    properties, balancer, budgets = Properties(), balancer_of(1, clock), Budgets(clock)
    tuning.follow(properties, balancer, budgets)

    def override(*changes):
        properties.replace_overrides(Override(one.name, value) for one, value in changes)

    return balancer, budgets, override, clock


def test_breakers_that_stand_and_new_ones_go_by_the_new_figures(tuned):
    balancer, _, override, clock = tuned
    run(balancer, Outcome.ANSWERED, 5)
    override((tuning.MINIMUM_CALLS, 6), (tuning.FAILURE_RATE, 0.15), (tuning.SLEEP_SECONDS, 60.0))
    run(balancer, Outcome.FAILED, 1)
    assert balancer.pick("s") is None
    clock.advance(59)
    assert balancer.pick("s") is None
    clock.advance(2)
    assert balancer.pick("s") is not None
    balancer._source.found = tuple(balancer_of(2, clock)._source.found[1:])
    run(balancer, Outcome.ANSWERED, 5)
    run(balancer, Outcome.FAILED, 1)
    assert balancer.pick("s") is None


def test_a_service_is_cut_off_and_let_through_again(tuned):
    balancer, _, override, _ = tuned
    run(balancer, Outcome.ANSWERED, 3)
    override((tuning.HELD_OPEN, ("s",)))
    assert balancer.pick("s") is None
    assert isinstance(balancer.refusal("s"), CircuitOpen)
    assert "An operator keeps s from being called" in str(balancer.refusal("s"))
    balancer._source.found = tuple(balancer._source.found)  # a new list with new members changes nothing
    assert balancer.pick("s") is None
    override()
    assert balancer.pick("s") is not None


def test_a_service_is_cut_off_before_it_was_ever_called(tuned):
    balancer, _, override, _ = tuned
    override((tuning.HELD_OPEN, ("s",)))
    assert balancer.pick("s") is None


def test_a_service_is_called_whatever_its_breaker_has_seen(tuned):
    balancer, _, override, _ = tuned
    override((tuning.HELD_CLOSED, ("s",)))
    run(balancer, Outcome.FAILED, 30)
    assert balancer.pick("s") is not None


@pytest.mark.parametrize("service", ["members", "configuration"])
def test_what_would_keep_everybody_from_taking_it_back_is_refused(service):
    with pytest.raises(PropertyRefused, match="other than members and configuration"):
        tuning.HELD_OPEN.accept(["catalog", service])


def test_retries_are_allowed_by_the_new_figures_at_once(tuned):
    _, budgets, override, clock = tuned
    known = budgets.of("s")
    while known.take():
        pass
    override((tuning.RETRY_RATIO, 1.0), (tuning.RETRIES_PER_SECOND, 0.0))
    clock.advance(100)
    for budget in (known, budgets.of("another")):
        while budget.take():
            pass
        for _ in range(4):
            budget.called()
        assert budget.left == 4
