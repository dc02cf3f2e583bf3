"""The registry itself: leases, who may take whose place, and what is believed of an instance.

    register          a lease begins, and an entry takes the place of an earlier one unless that is newer (lastDirtyTimestamp)
    renew             a heartbeat: the lease begins anew; unknown instances must register again
    cancel            the lease ends now
    override          an operator decides on the status (see status.py); `restore` ends that
    tick              twice a second: leases that have ended are evicted, old changes and farewells forgotten

What was not `replicated` is told to `on_action`, which carries it to the other registries. A replicated registration older
than a farewell of the same instance is ignored: it was under way when the instance left. Nothing is written down, as
every instance says again within one heartbeat that it is there.

Source: Eureka's AbstractInstanceRegistry and PeerAwareInstanceRegistryImpl. Different here: a lease ends after its duration
(Eureka's Lease.renew adds the duration twice), and signed instances end with their lease, without self-preservation: our
callers ask two registries and pass over what refuses them.
"""

from collections.abc import Callable
from random import Random

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import Forbidden, TooMany
from kinema.core.properties import Properties
from kinema.model.discovery import Instance, Registry
from kinema.services.discovery.changes import Changes
from kinema.services.discovery.entries import ADDED, DELETED, MODIFIED, Entries, Entry, Key
from kinema.services.discovery.lease_time import LeaseTime
from kinema.services.discovery.preservation import Judgement, Renewals, judge
from kinema.services.discovery.registrant import Registrant, check_metadata, check_registrant
from kinema.services.discovery.signed import GROUP, LEASE_SECONDS, registrant_of, with_metadata
from kinema.services.discovery.status import UNKNOWN, UP, effective

EVICTION_SECONDS = 5.0
FAREWELL_SECONDS = 30.0  # how long a replication may be under way
_MOST_SIGNED = 10_000
_MOST_FOREIGN = 20_000
_MOST_FOREIGN_CHARACTERS = 64_000_000
_MOST_FAREWELLS = 20_000

REGISTER = "Register"
HEARTBEAT = "Heartbeat"
CANCEL = "Cancel"
STATUS_UPDATE = "StatusUpdate"
DELETE_STATUS_OVERRIDE = "DeleteStatusOverride"


class Farewell(msgspec.Struct, frozen=True):
    """An instance that has left: remembered `until` (lease time), so that no replication brings its last life back."""

    until: float
    last_dirty: int
    signed: bool


class InstanceRegistry:
    """One registry's state. Asks the clock and draws from `random`; does no I/O."""

    def __init__(
        self,
        clock: Clock,
        *,
        random: Random | None = None,
        properties: Properties | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.entries = Entries()
        self.changes = Changes(clock)
        self.time = LeaseTime(clock)
        self.renewals = Renewals()
        self.on_action: Callable[[str, Entry], None] = _nobody_listens
        self.judgement = Judgement(0, 0, 0, 0.0, on=False)
        self._clock = clock
        self._random = random or Random()  # noqa: S311 (chooses whom to evict first, guards nothing)
        self._properties = properties or Properties()
        self._lease = lease_seconds
        self._farewells: dict[Key, Farewell] = {}
        self._next_eviction = EVICTION_SECONDS

    # -- registering ----------------------------------------------------------------------------------------------------

    def register(self, info: Registrant, *, replicated: bool = False) -> None:
        """Take a foreign instance in. Raises Forbidden when it would stand in for one of ours, TooMany when there are enough."""
        self._check_foreign(info)
        key = (info.app, info.id)
        before = self.entries.get(key)
        if before is None and self.entries.size - len(self.entries.signed) >= _MOST_FOREIGN:
            raise TooMany(f"The registry holds {_MOST_FOREIGN} instances; stop some before {info.id} can register.")
        if self.entries.foreign_characters + info.characters > _MOST_FOREIGN_CHARACTERS:
            raise TooMany(
                f"What all instances say has grown to {_MOST_FOREIGN_CHARACTERS} characters; let them say less."
            )
        if replicated and self.has_left(key, info.last_dirty):
            return
        if before is not None and before.last_dirty > info.last_dirty:
            info = msgspec.structs.replace(before.info, status=before.status, last_dirty=before.last_dirty)
        self._admit(Entry(info, None, self.time.now(), self.now_ms()), before, replicated=replicated)

    def register_signed(self, instance: Instance, *, replicated: bool = False, overridden: str = UNKNOWN) -> None:
        """Take one of our own instances in, or keep it: what it sends with each heartbeat. Raises BadInput, TooMany."""
        key = (instance.service.upper(), instance.instance)
        before = self.entries.get(key)
        known = before is not None and before.signed is not None and instance in (before.said, before.signed)
        if before is not None and known and before.status != UNKNOWN and not replicated:
            self.renew(key)
            return
        if before is None and len(self.entries.signed) >= _MOST_SIGNED:
            raise TooMany(f"The registry holds {_MOST_SIGNED} instances; stop some before {key[1]} can register.")
        info = registrant_of(instance, self._lease, self.now_ms())
        check_registrant(info, key[0], self.now_ms())
        if replicated:
            info = msgspec.structs.replace(info, overridden_status=overridden)
            if self.has_left(key, info.last_dirty):
                return
            if before is not None and before.signed is not None and before.last_dirty > info.last_dirty:
                return
        if key[0] not in self.entries.signed_apps:
            self._make_room(instance)
            before = self.entries.get(key)
        entry = Entry(info, instance, self.time.now(), self.now_ms())
        entry.duration = self._lease
        if replicated:
            entry.said = before.said if before is not None else None
        self._admit(entry, before, replicated=replicated)

    def _admit(self, entry: Entry, before: Entry | None, *, replicated: bool) -> None:
        entry.override = entry.info.overridden_status
        if before is not None:
            entry.up_ms = before.up_ms
            if before.override != UNKNOWN:
                entry.override = before.override
        leased = before.status if before is not None else None
        entry.status = effective(entry.info.status, _known(entry.override), leased, replicated=replicated)
        if entry.status == UP and not entry.up_ms:
            entry.up_ms = self.now_ms()
        self.entries.put(entry)
        self._farewells.pop(entry.key, None)
        self._note(ADDED, entry, None if replicated else REGISTER)

    def _check_foreign(self, info: Registrant) -> None:
        ours = self.entries.signed_apps
        if info.app in ours:
            raise Forbidden(f"The application {info.app} is one of the region's own services; choose another name.")
        if info.group == GROUP:
            raise Forbidden(f"The application group {GROUP} is for the region's own services; choose another name.")
        for vip in info.vips + info.secure_vips:
            if vip.strip().upper() in ours:
                raise Forbidden(f"The virtual address {vip[:100]} is one of the region's own services; choose another.")

    def _make_room(self, instance: Instance) -> None:
        """Let foreign entries go that have the name of a service of ours, which was not known yet when they registered."""
        name = instance.service.upper()
        for entry in tuple(self.entries):
            taken = any(vip.strip().upper() == name for vip in entry.info.vips + entry.info.secure_vips)
            if entry.signed is None and (entry.key[0] == name or taken):
                self._let_go(entry, None)

    # -- keeping --------------------------------------------------------------------------------------------------------

    def renew(self, key: Key, *, replicated: bool = False) -> bool:
        """Begin an instance's lease anew. False: it is not known, or its status is not, so it must register again."""
        entry = self.entries.get(key)
        if entry is None or entry.status == UNKNOWN:
            return False
        if entry.override != UNKNOWN:
            status = effective(entry.status, entry.override, entry.status, replicated=replicated)
            if status != entry.status:
                self.entries.set_status(entry, status)
                self._note(MODIFIED, entry, None)
        now = self.time.now()
        entry.renew(now, self.now_ms())
        if entry.signed is None:
            self.renewals.count(now)
        if not replicated:
            self.on_action(HEARTBEAT, entry)
        return True

    def adopt_override(self, key: Key, status: str) -> None:
        """Take over what a peer says about an instance's override, before it registers again."""
        entry = self.entries.get(key)
        if entry is not None and status != UNKNOWN:
            entry.override = status

    def reconcile(self, entry: Entry, status: str, overridden: str, last_updated: int) -> bool:
        """Take over the status that a peer gave the same registration, if that was later. False: ours is the later one."""
        if (last_updated, status, overridden) <= (entry.last_updated, entry.status, entry.override):
            return False
        entry.override = overridden
        self.entries.set_status(entry, status)
        self._note(MODIFIED, entry, None)
        return True

    # -- leaving --------------------------------------------------------------------------------------------------------

    def cancel(self, key: Key, *, replicated: bool = False, last_dirty: int | None = None) -> bool:
        """End a lease. False: there is none. A replicated farewell (of `last_dirty`) to an earlier life ends nothing."""
        entry = self.entries.get(key)
        if entry is None:
            return False
        if replicated and last_dirty is not None and entry.last_dirty > last_dirty:
            return True
        until = self.time.now() + FAREWELL_SECONDS
        self._farewells[key] = Farewell(until, entry.last_dirty, signed=entry.signed is not None)
        if len(self._farewells) > _MOST_FAREWELLS:
            del self._farewells[next(iter(self._farewells))]
        self._let_go(entry, None if replicated else CANCEL)
        return True

    def has_left(self, key: Key, last_dirty: int) -> bool:
        """Return whether an instance has said farewell lately, in the life that this timestamp belongs to."""
        farewell = self._farewells.get(key)
        return farewell is not None and farewell.last_dirty >= last_dirty

    def _let_go(self, entry: Entry, action: str | None) -> None:
        entry.evicted_ms = self.now_ms()
        self.entries.remove(entry)
        self._note(DELETED, entry, action)

    # -- what operators decide --------------------------------------------------------------------------------------------

    def override(self, key: Key, status: str, *, last_dirty: int | None = None, replicated: bool = False) -> bool:
        """Decide on an instance's status. False: there is no such instance."""
        entry = self.entries.get(key)
        if entry is None:
            return False
        self._keep_foreign(entry)
        if entry.status != status:
            if status == UP and not entry.up_ms:
                entry.up_ms = self.now_ms()
            entry.override = status
            self.entries.set_status(entry, status)
            entry.last_dirty = max(entry.last_dirty, last_dirty or 0)
            self._note(MODIFIED, entry, None)
        if not replicated:
            self.on_action(STATUS_UPDATE, entry)
        return True

    def restore(
        self, key: Key, status: str | None = None, *, last_dirty: int | None = None, replicated: bool = False
    ) -> bool:
        """End the override of an instance's status, which is `status` until it says so itself. False: no such instance.

        Without `status`, a foreign instance's is unknown until it registers again, which its next heartbeat makes it do.
        """
        entry = self.entries.get(key)
        if entry is None:
            return False
        self._keep_foreign(entry)
        if entry.override != UNKNOWN:
            entry.override = UNKNOWN
            self.entries.set_status(entry, status or (UNKNOWN if entry.signed is None else entry.info.status))
            entry.last_dirty = max(entry.last_dirty, last_dirty or 0)
            self._note(MODIFIED, entry, None)
        if not replicated:
            self.on_action(DELETE_STATUS_OVERRIDE, entry)
        return True

    def put_metadata(self, key: Key, added: dict[str, str]) -> bool:
        """Add to an instance's metadata, until it registers again. False: no such instance. Raises TooLarge, BadInput."""
        entry = self.entries.get(key)
        if entry is None:
            return False
        metadata = entry.info.metadata | added
        check_metadata(metadata)
        info = msgspec.structs.replace(entry.info, metadata=metadata, status=entry.status, last_dirty=entry.last_dirty)
        if entry.signed is None:
            self.register(info)
            return True
        fresh = Entry(info, with_metadata(entry.signed, added), self.time.now(), self.now_ms())
        fresh.duration, fresh.renewed, fresh.said = entry.duration, entry.renewed, entry.said
        self._admit(fresh, entry, replicated=False)
        return True

    def _keep_foreign(self, entry: Entry) -> None:
        if entry.signed is None:  # as Eureka; ours are gone within their lease whatever is decided about them
            entry.renew(self.time.now(), self.now_ms())

    # -- time -----------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let what has ended end. Called every `TICK_SECONDS`."""
        self.time.tick()
        now = self.time.now()
        self._end_signed(now)
        self.changes.prune()
        if now >= self._next_eviction:
            self._next_eviction = now + EVICTION_SECONDS
            foreign = [entry for entry in self.entries if entry.signed is None]
            self.judgement = judge(foreign, now, self._properties, self._random)
            for entry in self.judgement.evicted:
                self._let_go(entry, None)

    def _end_signed(self, now: float) -> None:
        for entry in tuple(self.entries.signed.values()):
            if entry.ends <= now:
                self._let_go(entry, None)
        forgotten = [key for key, farewell in self._farewells.items() if farewell.until <= now]
        for key in forgotten:
            if self._farewells.pop(key).signed:
                self.entries.signed_version += 1

    def now_ms(self) -> int:
        """Return the wall time in milliseconds."""
        return int(self._clock.now() * 1000)

    def _note(self, change: str, entry: Entry, action: str | None) -> None:
        entry.changed(change, self.now_ms())
        self.entries.touch(entry)
        self.changes.add(entry)
        if action is not None:
            self.on_action(action, entry)

    # -- our own view ---------------------------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether this registry has been up for a lease, so that every instance has had the time to say that it is there."""
        return self.time.now() >= self._lease

    def signed_version(self) -> int:
        """Return what counts the changes of signed instances, up to this moment."""
        self._end_signed(self.time.now())
        return self.entries.signed_version

    def registry(self) -> Registry:
        """Return our own instances, as /v1/registry shows them."""
        version = self.signed_version()
        signed = self.entries.signed.values()
        return Registry(
            version=version,
            instances=tuple(entry.signed for entry in signed if entry.signed is not None),
            settled=self.settled,
            left=tuple(_name(key) for key, farewell in self._farewells.items() if farewell.signed),
            out_of_service=tuple(_name(entry.key) for entry in signed if entry.status != UP),
        )


def _known(override: str) -> str | None:
    return None if override == UNKNOWN else override


def _name(key: Key) -> str:
    return f"{key[0].lower()}/{key[1]}"


def _nobody_listens(action: str, entry: Entry) -> None:
    pass
