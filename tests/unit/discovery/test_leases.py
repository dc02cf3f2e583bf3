"""Leases on a clock that the test moves, against the plainest model of them."""

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kinema.core.clock import ManualClock
from kinema.core.errors import TooMany
from kinema.model.discovery import Instance
from kinema.services.discovery import leases as module
from kinema.services.discovery.leases import Leases

NAMES = st.sampled_from(["a-1", "a-2", "b-1"])
PORTS = st.sampled_from(["1", "2"])


def instance(name, port="1"):
    return Instance(name[0], name, f"127.0.0.1:{port}", "home", "a", "0")


class LeasesMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.clock = ManualClock()
        self.leases = Leases(self.clock, 6.0)
        self.model = {}
        self.before = self.leases.registry()

    @rule(name=NAMES, port=PORTS)
    def renew(self, name, port):
        self.leases.renew(instance(name, port))
        self.model[name] = (instance(name, port), self.clock.now() + 6.0)

    @rule(name=NAMES)
    def cancel(self, name):
        self.leases.cancel(name[0], name)
        self.model.pop(name, None)

    @rule(seconds=st.floats(0.01, 8))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def agrees(self):
        if not hasattr(self, "leases"):
            return
        registry = self.leases.registry()
        live = [one for one, until in self.model.values() if until > self.clock.now()]
        assert {msgspec.json.encode(one) for one in registry.instances} == {msgspec.json.encode(one) for one in live}
        assert not {f"{one.service}/{one.instance}" for one in registry.instances} & set(registry.left)
        if (registry.instances, registry.left) != (self.before.instances, self.before.left):
            assert registry.version > self.before.version
        self.before = registry


LeasesMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLeases = LeasesMachine.TestCase


def test_a_heartbeat_is_not_a_change():
    leases = Leases(ManualClock())
    leases.renew(instance("a-1"))
    version = leases.registry().version
    leases.renew(instance("a-1"))
    assert leases.registry().version == version


def test_a_young_registry_says_that_it_may_not_know_everybody():
    clock = ManualClock()
    leases = Leases(clock)
    assert not leases.registry().settled
    clock.advance(6.0)
    assert leases.registry().settled


def test_a_full_registry_keeps_whom_it_has(monkeypatch):
    monkeypatch.setattr(module, "_MOST", 1)
    leases = Leases(ManualClock())
    leases.renew(instance("a-1"))
    leases.renew(instance("a-1"))
    with pytest.raises(TooMany, match="a-2"):
        leases.renew(instance("a-2"))
