"""The registry against the plainest model of it, and a client that follows by deltas against the registry."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kinema.core.clock import ManualClock
from kinema.services.discovery.changes import RETENTION_SECONDS
from kinema.services.discovery.entries import DELETED, hash_code
from kinema.services.discovery.instances import EVICTION_SECONDS, InstanceRegistry
from kinema.services.discovery.status import UNKNOWN, effective
from tests.unit.discovery.registrants import foreign, ours, wait

APPS = st.sampled_from(["A", "B"])
IDS = st.sampled_from(["1", "2", "3"])
SAID = st.sampled_from(["UP", "UP", "DOWN", "STARTING", "OUT_OF_SERVICE"])
DECIDED = st.sampled_from(["UP", "DOWN", "OUT_OF_SERVICE"])
LEASE = 30.0


class Known:
    """One instance in the model."""

    def __init__(self, dirty, status, override, until):
        self.dirty, self.status, self.override, self.until = dirty, status, override, until


class RegistryMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 99))
    def begin(self, seed):
        self.clock = ManualClock()
        self.registry = InstanceRegistry(self.clock, random=Random(seed))
        self.model = {}
        self.ours = {}
        self.fetch()

    def fetch(self):
        """The client asks for everything."""
        self.client = {entry.key: entry.status for entry in self.registry.entries}
        self.fetched = self.clock.now()

    @rule(app=APPS, instance_id=IDS, status=SAID, dirty=st.integers(1, 4), replicated=st.booleans())
    def register(self, app, instance_id, status, dirty, replicated):
        info = foreign(app, instance_id, status=status, last_dirty=dirty, duration_seconds=int(LEASE), vip=app.lower())
        ignored = replicated and (app, instance_id) in self.registry._farewells
        if ignored and self.registry._farewells[app, instance_id].last_dirty >= dirty:
            self.registry.register(info, replicated=True)
            return
        self.registry.register(info, replicated=replicated)
        before = self.model.get((app, instance_id))
        if before is not None and before.dirty > dirty:
            dirty, status = before.dirty, before.status
        override = before.override if before else UNKNOWN
        known = None if override == UNKNOWN else override
        status = effective(status, known, before.status if before else None, replicated=replicated)
        self.model[app, instance_id] = Known(dirty, status, override, self.clock.now() + LEASE)

    @rule(app=APPS, instance_id=IDS)
    def heartbeat(self, app, instance_id):
        known = self.model.get((app, instance_id))
        renewed = self.registry.renew((app, instance_id))
        assert renewed == (known is not None and known.status != UNKNOWN)
        if renewed:
            known.until = self.clock.now() + LEASE
            if known.override != UNKNOWN and known.status in {"UP", "OUT_OF_SERVICE"}:
                known.status = known.override

    @rule(app=APPS, instance_id=IDS)
    def cancel(self, app, instance_id):
        assert self.registry.cancel((app, instance_id)) == (self.model.pop((app, instance_id), None) is not None)

    @rule(app=APPS, instance_id=IDS, status=DECIDED)
    def override(self, app, instance_id, status):
        known = self.model.get((app, instance_id))
        assert self.registry.override((app, instance_id), status) == (known is not None)
        if known is not None:
            known.until = self.clock.now() + LEASE
            if known.status != status:
                known.status = known.override = status

    @rule(app=APPS, instance_id=IDS)
    def restore(self, app, instance_id):
        known = self.model.get((app, instance_id))
        assert self.registry.restore((app, instance_id)) == (known is not None)
        if known is not None:
            known.until = self.clock.now() + LEASE
            if known.override != UNKNOWN:
                known.status = known.override = UNKNOWN

    @rule(number=st.integers(1, 2), port=st.integers(1, 2))
    def register_ours(self, number, port):
        self.registry.register_signed(ours(number=number, port=port))
        self.ours[number] = (port, self.clock.now() + 6.0)

    @rule(number=st.integers(1, 2))
    def sign_off(self, number):
        self.registry.cancel(("CATALOG", f"catalog-{number}"))
        self.ours.pop(number, None)

    @rule(seconds=st.sampled_from([0.5, 2.0, 6.0, 20.0, 31.0, 60.0]))
    def wait(self, seconds):
        wait(self.clock, self.registry, seconds)
        now = self.clock.now()
        slack = EVICTION_SECONDS * (len(self.model) + 1)  # at most one a run in so small a registry
        for key, known in tuple(self.model.items()):
            if known.until <= now and self.registry.entries.get(key) is None:
                del self.model[key]
            else:
                assert known.until > now - slack, f"{key} should be gone"
        self.ours = {number: known for number, known in self.ours.items() if known[1] > now}

    @rule()
    def follow(self):
        """The client asks for the changes, or for everything when it has not asked for long."""
        if self.clock.now() - self.fetched > RETENTION_SECONDS - 1:
            self.fetch()
            return
        for entry in self.registry.changes.entries():
            if entry.action == DELETED:
                self.client.pop(entry.key, None)
            else:
                self.client[entry.key] = entry.status
        assert self.client == {entry.key: entry.status for entry in self.registry.entries}
        self.fetched = self.clock.now()

    @invariant()
    def agrees(self):
        if not hasattr(self, "registry"):
            return
        entries = self.registry.entries
        theirs = {entry.key: entry.status for entry in entries if entry.signed is None}
        assert theirs == {key: known.status for key, known in self.model.items()}
        shown = {(one.instance, one.address) for one in self.registry.registry().instances}
        assert shown == {(f"catalog-{number}", f"127.0.0.1:{port}") for number, (port, _) in self.ours.items()}
        counts = {}
        for entry in entries:
            counts[entry.status] = counts.get(entry.status, 0) + 1
        assert hash_code(entries.statuses) == "".join(f"{status}_{counts[status]}_" for status in sorted(counts))
        assert entries.size == sum(counts.values())
        assert entries.foreign_characters == sum(entry.characters for entry in entries if entry.signed is None)
        for app in ("a", "b", "catalog"):
            at_it = {entry.key for entry in entries.with_vip(app, secure=False)}
            assert at_it == {entry.key for entry in entries if app in entry.info.vips}


RegistryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRegistry = RegistryMachine.TestCase
