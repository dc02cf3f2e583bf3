"""What each limit makes of a mild overload that lasts, simulated on virtual time: 30 workers, 600 calls a second are all they can."""

import pytest

from kinema.resilience.limits.aimd import Aimd
from kinema.resilience.limits.correlated import Correlated
from kinema.resilience.limits.gradient2 import Gradient2
from tests.support.overload import Service

ALONE = 0.05  # seconds that a call takes when nobody else is there


def after_a_lasting_overload(algorithm, load, seed=1):
    service = Service(algorithm, workers=30, seconds=ALONE, seed=seed)
    service.run(60, load=0.7)
    service.run(200, load)
    return service


@pytest.fixture(scope="module")
def drifted():
    return after_a_lasting_overload(Gradient2(), load=1.1)


def test_gradient2_drifts_to_its_upper_bound_and_everybody_waits(drifted):
    assert drifted.median_limit(60) == 200
    assert drifted.median_latency(60) > 6 * ALONE
    assert drifted.throughput(60) < 0.8 * drifted.capacity  # a crowd is served more slowly than a few


def test_aimd_hears_of_no_drops_and_drifts_as_well():
    service = after_a_lasting_overload(Aimd(), load=1.1)
    assert service.median_limit(60) == 200


@pytest.mark.parametrize("load", [1.05, 1.1, 1.3, 2.0])
def test_the_default_stays_near_what_the_service_can(load):
    service = after_a_lasting_overload(Correlated(), load)
    assert 24 <= service.median_limit(60) <= 60
    assert service.median_latency(60) < 1.8 * ALONE
    assert service.throughput(60) > 0.88 * service.capacity


def test_the_default_comes_back_from_where_gradient2_ends():
    correlated = Correlated()
    service = Service(correlated, workers=30, seconds=ALONE, seed=5)
    service.run(60, load=0.7)
    correlated._limit = 200.0
    service.run(20, load=1.1)
    assert service.median_limit(10) > 100
    assert service.median_latency(5) > 3 * ALONE
    service.run(130, load=1.1)
    assert service.median_limit(20) <= 60
    assert service.median_latency(20) < 1.8 * ALONE


def test_a_service_that_is_slower_for_good_is_not_throttled_for_ever():
    service = Service(Correlated(), workers=30, seconds=ALONE, seed=7)
    service.run(60, load=0.7)
    service.seconds, service.capacity = 3 * service.seconds, service.capacity / 3
    service.run(120, load=0.7)
    before = service.refused
    service.run(60, load=0.7)
    assert service.refused == before
    assert service.median_limit(60) > 60


def test_the_default_grows_to_a_service_larger_than_its_first_limit():
    service = Service(Correlated(first=20), workers=100, seconds=0.1, seed=6)
    service.run(90, load=0.9)
    before = service.refused
    service.run(10, load=0.9)
    assert service.median_limit(10) > 100
    assert service.refused - before < 0.01 * 10 * service.capacity


def test_the_same_seed_gives_the_same_run(drifted):
    again = after_a_lasting_overload(Gradient2(), load=1.1)
    assert (again.limits, again.log[-100:]) == (drifted.limits, drifted.log[-100:])
