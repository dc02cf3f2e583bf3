"""The registry's rules, one by one, on a clock that the test moves."""

from random import Random

import pytest

from kinema.core.clock import ManualClock
from kinema.core.errors import Forbidden, TooLarge, TooMany
from kinema.core.properties import Properties
from kinema.services.discovery import instances as module
from kinema.services.discovery.entries import ADDED, DELETED, MODIFIED
from kinema.services.discovery.instances import InstanceRegistry
from kinema.services.discovery.preservation import ENABLED, Renewals
from kinema.services.discovery.status import DOWN, OUT_OF_SERVICE, STARTING, UNKNOWN, UP, effective
from tests.unit.discovery.registrants import foreign, ours, wait

KEY = ("ORDERS", "orders-1")
OURS = ("CATALOG", "catalog-1")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def registry(clock):
    return InstanceRegistry(clock, random=Random(1))


def ids(registry):
    return sorted(entry.key[1] for entry in registry.entries)


def changes(registry):
    return [(entry.key[1], entry.action) for entry in registry.changes.entries()]


# -- leases --------------------------------------------------------------------------------------------------------------


def test_a_lease_ends_after_its_ninety_seconds_and_not_after_twice_as_long(clock, registry):
    registry.register(foreign())
    assert registry.renew(KEY)
    wait(clock, registry, 89)
    assert ids(registry) == ["orders-1"]
    wait(clock, registry, 1 + module.EVICTION_SECONDS)
    assert ids(registry) == []
    assert changes(registry) == [("orders-1", DELETED)]


def test_a_heartbeat_begins_the_lease_anew_and_is_no_change(clock, registry):
    registry.register(foreign())
    version = registry.entries.version
    for _ in range(5):
        wait(clock, registry, 60)
        assert registry.renew(KEY)
    assert registry.entries.version == version


def test_an_instance_chooses_its_own_lease(clock, registry):
    registry.register(foreign(duration_seconds=10, renewal_seconds=3))
    wait(clock, registry, 9)
    assert ids(registry) == ["orders-1"]
    wait(clock, registry, 1 + module.EVICTION_SECONDS)
    assert ids(registry) == []


def test_a_registry_that_stood_still_throws_nobody_out(clock, registry):
    registry.register(foreign())
    registry.register_signed(ours())
    wait(clock, registry, 4)
    clock.advance(600)  # no tick: the process was stopped
    registry.tick()
    assert ids(registry) == ["catalog-1", "orders-1"]
    assert registry.registry().instances == (ours(),)


def test_one_of_ours_is_gone_within_six_seconds_and_at_once_when_it_signs_off(clock, registry):
    registry.register_signed(ours())
    registry.register_signed(ours(number=2))
    registry.cancel(("CATALOG", "catalog-2"))
    assert registry.registry().instances == (ours(),)
    assert registry.registry().left == ("catalog/catalog-2",)
    wait(clock, registry, 5.5)
    assert registry.registry().instances == (ours(),)
    clock.advance(0.5)
    assert registry.registry().instances == ()


def test_a_heartbeat_of_ours_is_no_change_for_our_callers(registry):
    registry.register_signed(ours())
    version = registry.signed_version()
    registry.register_signed(ours())
    registry.register(foreign())
    assert registry.signed_version() == version
    registry.register_signed(ours(port=81))
    assert registry.signed_version() > version


def test_a_young_registry_says_that_it_may_not_know_everybody(clock, registry):
    assert not registry.settled
    wait(clock, registry, 6)
    assert registry.settled


def test_a_full_registry_keeps_whom_it_has(monkeypatch, registry):
    monkeypatch.setattr(module, "_MOST_FOREIGN", 1)
    monkeypatch.setattr(module, "_MOST_SIGNED", 1)
    registry.register(foreign())
    registry.register_signed(ours())
    registry.register(foreign())
    registry.register_signed(ours())
    with pytest.raises(TooMany, match="orders-2"):
        registry.register(foreign(instance_id="orders-2"))
    with pytest.raises(TooMany, match="catalog-2"):
        registry.register_signed(ours(number=2))


def test_what_all_say_together_is_bounded(monkeypatch, registry):
    monkeypatch.setattr(module, "_MOST_FOREIGN_CHARACTERS", 1_000)
    registry.register(foreign(metadata={"a": "x" * 930}))
    registry.register_signed(ours(long="x" * 900))
    with pytest.raises(TooMany, match="1000 characters"):
        registry.register(foreign(instance_id="orders-2"))
    registry.cancel(KEY)
    registry.register(foreign(instance_id="orders-2"))


# -- lastDirtyTimestamp ---------------------------------------------------------------------------------------------------


def test_a_registration_that_is_older_than_what_is_known_changes_nothing(registry):
    registry.register(foreign(last_dirty=20, ip_address="10.0.0.20"))
    registry.register(foreign(last_dirty=10, ip_address="10.0.0.10"))
    assert registry.entries.get(KEY).info.ip_address == "10.0.0.20"
    registry.register(foreign(last_dirty=20, ip_address="10.0.0.21"))
    assert registry.entries.get(KEY).info.ip_address == "10.0.0.21"


def test_a_replication_from_before_the_farewell_brings_nobody_back(clock, registry):
    registry.register(foreign(last_dirty=20))
    registry.cancel(KEY)
    registry.register(foreign(last_dirty=20), replicated=True)
    assert ids(registry) == []
    registry.register(foreign(last_dirty=21), replicated=True)
    assert ids(registry) == ["orders-1"]
    registry.cancel(KEY)
    wait(clock, registry, module.FAREWELL_SECONDS + 1)
    registry.register(foreign(last_dirty=20), replicated=True)
    assert ids(registry) == ["orders-1"]


def test_who_registers_by_himself_after_a_farewell_is_back(registry):
    registry.register(foreign(last_dirty=20))
    registry.cancel(KEY)
    registry.register(foreign(last_dirty=20))
    assert ids(registry) == ["orders-1"]


def test_a_replicated_farewell_to_an_earlier_life_does_not_end_the_present_one(registry):
    registry.register(foreign(last_dirty=20))
    assert registry.cancel(KEY, replicated=True, last_dirty=10)
    assert ids(registry) == ["orders-1"]
    assert registry.cancel(KEY, replicated=True, last_dirty=20)
    assert ids(registry) == []


# -- status --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "override", "leased", "replicated", "expected"),
    [
        (DOWN, UP, UP, False, DOWN),
        (STARTING, OUT_OF_SERVICE, UP, False, STARTING),
        (UNKNOWN, OUT_OF_SERVICE, UP, True, UNKNOWN),
        (UP, OUT_OF_SERVICE, UP, False, OUT_OF_SERVICE),
        (OUT_OF_SERVICE, UP, OUT_OF_SERVICE, True, UP),
        (UP, None, OUT_OF_SERVICE, False, OUT_OF_SERVICE),
        (UP, None, OUT_OF_SERVICE, True, UP),
        (OUT_OF_SERVICE, None, UP, False, UP),
        (UP, None, DOWN, False, UP),
        (UP, None, None, False, UP),
    ],
)
def test_the_first_rule_that_matches_decides(said, override, leased, replicated, expected):
    assert effective(said, override, leased, replicated=replicated) == expected


def test_an_override_survives_heartbeats_and_registrations_until_it_is_ended(registry):
    registry.register(foreign())
    registry.override(KEY, OUT_OF_SERVICE)
    assert registry.renew(KEY)
    registry.register(foreign(last_dirty=2))
    assert registry.entries.get(KEY).status == OUT_OF_SERVICE
    registry.restore(KEY)
    assert registry.entries.get(KEY).status == UNKNOWN
    assert not registry.renew(KEY)
    registry.register(foreign(last_dirty=3))
    assert registry.entries.get(KEY).status == UP
    assert registry.renew(KEY)


def test_ending_an_override_may_name_the_status_that_follows(registry):
    registry.register(foreign())
    registry.override(KEY, OUT_OF_SERVICE)
    registry.restore(KEY, UP)
    assert registry.entries.get(KEY).status == UP
    assert registry.renew(KEY)


def test_an_override_goes_with_the_lease(registry):
    registry.register(foreign())
    registry.override(KEY, OUT_OF_SERVICE)
    registry.cancel(KEY)
    registry.register(foreign())
    assert registry.entries.get(KEY).status == UP


def test_one_of_ours_out_of_service_is_known_and_not_to_be_called(registry):
    registry.register_signed(ours())
    version = registry.signed_version()
    registry.override(OURS, OUT_OF_SERVICE)
    assert registry.signed_version() > version
    registry.register_signed(ours())
    assert registry.registry().instances == (ours(),)
    assert registry.registry().out_of_service == ("catalog/catalog-1",)
    registry.restore(OURS)
    assert registry.registry().out_of_service == ()


def test_an_override_does_not_keep_one_of_ours_that_is_silent(clock, registry):
    registry.register_signed(ours())
    wait(clock, registry, 5.5)
    registry.override(OURS, OUT_OF_SERVICE)
    wait(clock, registry, 0.5)
    assert registry.registry().instances == ()


# -- metadata ------------------------------------------------------------------------------------------------------------


def test_metadata_is_added_to_and_bounded(registry):
    registry.register(foreign(metadata={"a": "1"}))
    assert registry.put_metadata(KEY, {"b": "2"})
    assert registry.entries.get(KEY).info.metadata == {"a": "1", "b": "2"}
    with pytest.raises(TooLarge, match="32768"):
        registry.put_metadata(KEY, {"c": "x" * 40_000})
    assert registry.entries.get(KEY).info.metadata == {"a": "1", "b": "2"}


def test_metadata_added_to_one_of_ours_outlives_its_heartbeats(registry):
    registry.register_signed(ours())
    registry.put_metadata(OURS, {"canary": "yes"})
    registry.register_signed(ours())
    assert registry.registry().instances == (ours(canary="yes"),)
    registry.register_signed(ours(port=81))
    assert registry.registry().instances == (ours(port=81),)


# -- two kinds of entries --------------------------------------------------------------------------------------------------


def test_what_is_foreign_is_never_shown_to_our_callers(registry):
    registry.register(foreign())
    registry.register_signed(ours())
    assert registry.registry().instances == (ours(),)


@pytest.mark.parametrize(
    "pretender",
    [
        foreign(app="CATALOG", instance_id="evil"),
        foreign(app="CATALOG", instance_id="catalog-1"),
        foreign(vip="x,Catalog"),
        foreign(secure_vip="catalog"),
        foreign(group="KINEMA"),
    ],
)
@pytest.mark.parametrize("replicated", [True, False])
def test_nobody_stands_in_for_one_of_ours(registry, pretender, replicated):
    registry.register_signed(ours())
    registry.cancel(OURS)  # the name stays ours
    with pytest.raises(Forbidden, match="region's own"):
        registry.register(pretender, replicated=replicated)


def test_who_had_the_name_of_one_of_ours_before_it_came_has_to_go(registry):
    registry.register(foreign(app="CATALOG", instance_id="evil"))
    registry.register(foreign(app="CATALOG", instance_id="catalog-1"))
    registry.register(foreign(vip="catalog"))
    registry.register(foreign(instance_id="other"))
    registry.register_signed(ours())
    assert ids(registry) == ["catalog-1", "other"]
    assert registry.registry().instances == (ours(),)


def test_an_id_alone_finds_ours_first(registry):
    registry.register(foreign(app="A", instance_id="catalog-1"))
    registry.register_signed(ours())
    registry.register(foreign(app="Z", instance_id="catalog-1"))
    assert registry.entries.find("catalog-1").key == OURS


# -- the delta -----------------------------------------------------------------------------------------------------------


def test_a_change_is_in_the_delta_for_three_minutes(clock, registry):
    registry.register(foreign())
    registry.override(KEY, OUT_OF_SERVICE)
    assert changes(registry) == [("orders-1", MODIFIED)]
    for _ in range(6):
        wait(clock, registry, 29)
        registry.renew(KEY)
    assert changes(registry) == [("orders-1", MODIFIED)]
    wait(clock, registry, 7)
    assert changes(registry) == []


def test_the_delta_has_each_instance_once_in_the_order_of_the_last_change(registry):
    registry.register(foreign())
    registry.register(foreign(instance_id="orders-2"))
    registry.cancel(KEY)
    registry.register(foreign(instance_id="orders-2"))
    assert changes(registry) == [("orders-1", DELETED), ("orders-2", ADDED)]


# -- eviction and self-preservation ----------------------------------------------------------------------------------------


def fill(registry, count):
    for number in range(count):
        registry.register(foreign(app=f"APP-{number % 4}", instance_id=f"i-{number}"))


def beat(registry, numbers):
    for number in numbers:
        registry.renew((f"APP-{number % 4}", f"i-{number}"))


def test_a_run_evicts_at_most_fifteen_percent_in_an_order_drawn_at_random(clock):
    survivors = set()
    for seed in range(4):
        properties = Properties(environment={ENABLED.variable: "false"})
        registry = InstanceRegistry(clock, random=Random(seed), properties=properties)
        fill(registry, 40)
        sizes = []
        wait(clock, registry, 89.5)
        for _ in range(3):
            wait(clock, registry, module.EVICTION_SECONDS)
            sizes.append(registry.entries.size)
        assert sizes == [34, 28, 23]
        survivors.add(frozenset(ids(registry)))
    assert len(survivors) == 4


def test_when_many_fall_silent_at_once_nobody_is_evicted_until_they_are_back(clock, registry):
    fill(registry, 20)
    for _ in range(10):
        wait(clock, registry, 30)
        beat(registry, range(14))
    assert registry.judgement.on
    assert registry.entries.size == 20
    beat(registry, range(20))
    wait(clock, registry, 30)
    beat(registry, range(20))
    assert not registry.judgement.on


def test_self_preservation_ends_for_those_that_stay_silent(clock, registry):
    fill(registry, 20)
    for _ in range(33):
        wait(clock, registry, 30)
        beat(registry, range(14))
    assert ids(registry) == sorted(f"i-{number}" for number in range(14))


def test_a_few_deaths_among_many_are_believed(clock, registry):
    fill(registry, 20)
    for _ in range(4):
        wait(clock, registry, 30)
        beat(registry, range(18))
    assert registry.entries.size == 18


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_in_a_small_registry_every_death_is_believed(clock, registry, count):
    fill(registry, count)
    for _ in range(5):
        wait(clock, registry, 30)
        beat(registry, range(count - 1))
    assert registry.entries.size == count - 1


def test_heartbeats_are_counted_over_a_minute():
    renewals = Renewals()
    for second in range(120):
        renewals.count(float(second))
    assert 55 <= renewals.per_minute(119.0) <= 60
    assert renewals.per_minute(150.0) < 35
    assert renewals.per_minute(500.0) == 0


# -- what is told to peers -------------------------------------------------------------------------------------------------


def test_peers_are_told_what_was_heard_here_and_nothing_twice(registry):
    told = []
    registry.on_action = lambda action, entry: told.append((action, entry.key[1]))
    registry.register(foreign())
    registry.renew(KEY)
    registry.override(KEY, OUT_OF_SERVICE)
    registry.restore(KEY, UP)
    registry.cancel(KEY)
    registry.register_signed(ours())
    expected = ["Register", "Heartbeat", "StatusUpdate", "DeleteStatusOverride", "Cancel", "Register"]
    assert [action for action, _ in told] == expected
    told.clear()
    registry.register(foreign(instance_id="orders-2"), replicated=True)
    registry.renew(("ORDERS", "orders-2"), replicated=True)
    registry.override(("ORDERS", "orders-2"), OUT_OF_SERVICE, replicated=True)
    registry.restore(("ORDERS", "orders-2"), UP, replicated=True)
    registry.cancel(("ORDERS", "orders-2"), replicated=True)
    registry.register_signed(ours(number=2), replicated=True)
    assert told == []


def test_of_two_registries_that_disagree_the_later_decision_counts(clock, registry):
    registry.register(foreign())
    then = registry.now_ms()
    clock.advance(1)
    registry.override(KEY, OUT_OF_SERVICE)
    assert not registry.reconcile(registry.entries.get(KEY), UP, UNKNOWN, then)
    assert registry.entries.get(KEY).status == OUT_OF_SERVICE
    assert registry.reconcile(registry.entries.get(KEY), UP, UNKNOWN, registry.now_ms() + 1)
    assert registry.entries.get(KEY).status == UP
