"""The production balancer on virtual time: even load, spill-over between zones, recovery of what was slow, ill or new."""

from kinema.core.priority import Priority
from kinema.model.discovery import Instance
from tests.support.fleet import Fleet

RATE = {Priority.DEGRADED: 300.0}


def shares(fleet):
    total = sum(fleet.served.values())
    return {name: round(count / total, 3) for name, count in sorted(fleet.served.items())}


def callers(*zones):
    return [Instance("callers", f"callers-{n}", f"c{n}:1", "home", zone, "0") for n, zone in enumerate(zones, 1)]


def test_equal_instances_get_equal_shares():
    fleet = Fleet()
    for number in range(5):
        fleet.add(f"s-{number}")
    fleet.run(30, RATE)
    assert all(0.17 < share < 0.23 for share in shares(fleet).values())


def test_an_instance_that_is_three_times_slower_gets_less_and_recovers():
    fleet = Fleet()
    for number in range(4):
        fleet.add(f"s-{number}", seconds=0.03 if number == 0 else 0.01)
    fleet.run(20, RATE)
    assert shares(fleet)["s-0"] < 0.15
    fleet.members["s-0"].seconds = 0.01
    fleet.run(20, RATE)
    fleet.clear()
    fleet.run(20, RATE)
    assert shares(fleet)["s-0"] > 0.2


def test_an_instance_that_fails_costs_a_few_requests_and_comes_back_after_its_ejection():
    fleet = Fleet()
    for number in range(4):
        fleet.add(f"s-{number}", failing=number == 0)
    fleet.run(20, RATE)
    assert fleet.availability(Priority.DEGRADED) > 0.995
    fleet.members["s-0"].failing = False
    fleet.run(60, RATE)
    fleet.clear()
    fleet.run(20, RATE)
    assert shares(fleet)["s-0"] > 0.2


def test_requests_stay_in_their_zone_until_it_cannot_take_them():
    fleet = Fleet(zone="a", peers=callers("a", "b"))
    for number in range(6):
        fleet.add(f"s-{number}", zone="ab"[number % 2])
    fleet.run(20, RATE)
    assert set(fleet.served) == {"s-0", "s-2", "s-4"}
    fleet.members["s-0"].failing = True
    fleet.run(5, RATE)
    fleet.clear()
    fleet.run(10, RATE)  # one of three is ejected: the part that is missing goes to zone b
    assert fleet.availability(Priority.DEGRADED) == 1.0
    away = sum(count for name, count in fleet.served.items() if name in {"s-1", "s-3", "s-5"})
    assert 0.15 < away / sum(fleet.served.values()) < 0.25  # 2/5 of the capacity for half of the callers
    fleet.members["s-0"].failing = False
    fleet.run(60, RATE)
    fleet.clear()
    fleet.run(10, RATE)
    assert set(fleet.served) == {"s-0", "s-2", "s-4"}


def test_a_zone_that_dies_is_left_with_few_failures():
    fleet = Fleet(zone="a", peers=callers("a", "b"))
    for number in range(4):
        fleet.add(f"s-{number}", zone="ab"[number % 2])
    fleet.run(10, RATE)
    for name in ("s-0", "s-2"):
        fleet.remove(name)
    fleet.run(1, RATE)
    fleet.clear()
    fleet.run(10, RATE)
    assert set(fleet.served) == {"s-1", "s-3"}
    assert fleet.availability(Priority.DEGRADED) == 1.0


def test_a_new_instance_grows_into_its_share():
    fleet = Fleet()
    for number in range(3):
        fleet.add(f"s-{number}")
    fleet.run(10, RATE)
    fleet.age = 0.0
    fleet.add("s-new")
    grown = []
    for _ in range(4):
        fleet.clear()
        fleet.run(10, RATE)
        grown.append(shares(fleet)["s-new"])
    assert grown[0] < 0.14
    assert grown == sorted(grown)
    assert 0.2 < grown[-1] < 0.3
