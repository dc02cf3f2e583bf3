"""The instances of one service, ordered for picking. What changes slowly is decided ten times a second, not at every pick.

reconsider     fold health in -> every ten seconds sweep for outliers -> penalties and weights -> who is usable
               -> the parts that go to each zone
pick           a zone by its part -> the choice of two; an instance that is full: search all of them
search         usable ones that were not tried and are not full, the own zone first; then ejected and avoided ones, as
               a wrong suspicion must not cut a service off; never one whose breaker is open
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import accumulate

from kinema.core.clock import Clock
from kinema.model.discovery import Instance
from kinema.resilience.breaker import State
from kinema.rpc.balance import outliers, slow_start, subset, zones
from kinema.rpc.balance.choice_of_two import choose
from kinema.rpc.balance.guards import GuardLimits, Guards
from kinema.rpc.balance.health import believed, penalty
from kinema.rpc.balance.member import NEVER, Member
from kinema.rpc.merge import STARTED

_RECONSIDER_SECONDS = 0.1
_AVOIDED_SECONDS = 2.0

Draw = Callable[[], float]


class Caller:
    """Who picks: an instance in a zone, and all instances of its own service, which pick as it does."""

    __slots__ = ("instance", "peers", "zone")

    def __init__(self, zone: str, instance: str, peers: Sequence[Instance]) -> None:
        self.zone = zone
        self.instance = instance
        self.peers = peers


class Pool:
    """Members of one service. `found` is the list of the directory that they were made from."""

    def __init__(self, clock: Clock, limits: GuardLimits, held: State | None = None) -> None:
        self.found: Sequence[Instance] = ()
        self.members: dict[str, Member] = {}
        self.due = NEVER
        self.in_flight = 0
        self._limits_sum = 0
        self._clock = clock
        self._limits = limits
        self._held = held
        self._everybody: tuple[Member, ...] = ()
        self._near: tuple[Member, ...] = ()
        self._lanes: tuple[tuple[float, tuple[Member, ...]], ...] = ()
        self._sweep_at = NEVER
        self._peers: Sequence[Instance] | None = None

    def renew(self, found: Sequence[Instance], now: float) -> None:
        """Take over a new list: who stayed keeps what is known of it, who left is forgotten."""
        first = not self.found
        wall = self._clock.now()
        members = {}
        for one in found:
            known = self.members.get(one.address)
            if (
                known is not None
                and known.instance.instance == one.instance
                and _started(known.instance) == _started(one)
            ):
                known.instance = one
                members[one.address] = known
            else:
                guards = Guards(self._clock, self._limits, self.hurry)
                guards.order(self._limits.breaker, self._held)
                members[one.address] = Member(self, one, guards, _born(one, now, wall, first=first), now)
        for address, left in self.members.items():
            if members.get(address) is not left:
                left.in_flight = 0  # what it still answers is no longer counted
        self.found = found
        self.members = members
        self.in_flight = sum(one.in_flight for one in members.values())
        self._peers = None
        self.hurry()

    def order(self, limits: GuardLimits, held: State | None) -> None:
        """Have every breaker go by these figures, and hold all of them in this forced state."""
        self._limits = limits
        self._held = held
        for one in self.members.values():
            one.guards.order(limits.breaker, held)
        self.hurry()

    def member(self, instance: Instance) -> Member | None:
        """Return what is known of an instance; None when it has left."""
        found = self.members.get(instance.address)
        return found if found is not None and found.instance.instance == instance.instance else None

    def hurry(self) -> None:
        """Something has changed: the next pick reconsiders first."""
        self.due = NEVER

    def reconsider(self, now: float, caller: Caller) -> None:
        """Decide anew who is picked how often."""
        self.due = now + _RECONSIDER_SECONDS
        if self._peers is not caller.peers:
            self._peers = caller.peers
            self._everybody = self._subset(caller)
        everybody = self._everybody
        for one in self.members.values():
            one.fold()
        for one in everybody:
            one.health.fold(now)
        if now >= self._sweep_at:
            self._sweep_at = now + outliers.INTERVAL_SECONDS
            outliers.sweep(everybody, now)
        self._weigh(everybody, now)
        self._limits_sum = sum(one.guards.limiter.limit for one in everybody)
        usable = [one for one in everybody if _is_usable(one, now) and one.guards.lets]
        self._divide(usable, caller)

    def pick(self, tried: Collection[str], draw: Draw, caller: Caller, now: float) -> Member | None:
        """Return a member whose address is not among the tried ones, or None."""
        if not tried:
            near = self._near
            if self._lanes:
                at = draw()
                for until, lane in self._lanes:
                    if at < until:
                        near = lane
                        break
            if near:
                found = choose(near, draw)
                if found.guards.takes():
                    return found
        return self._search(tried, draw, caller, now)

    @property
    def pressure(self) -> float:
        """Requests under way in what the limits allow."""
        return self.in_flight / self._limits_sum if self._limits_sum else 0.0

    @property
    def shut_seconds(self) -> float:
        """Seconds until the first breaker lets a call through, 0.0 if one does now."""
        return min((one.guards.breaker.snapshot().retry_after for one in self.members.values()), default=0.0)

    def avoid(self, one: Member, now: float) -> None:
        """Pass a member over for a moment: it refused a connection, long before its lease runs out."""
        one.avoided_until = now + _AVOIDED_SECONDS
        self.hurry()

    def forgive(self, one: Member) -> None:
        """A member that was avoided has answered."""
        one.avoided_until = NEVER
        self.hurry()

    def failed(self, one: Member, now: float) -> None:
        """A member has failed once more."""
        one.consecutive += 1
        if one.consecutive >= outliers.CONSECUTIVE and one.ejected_until <= now:
            one.consecutive = 0
            if outliers.eject(self._everybody, one, now):
                self.hurry()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _search(self, tried: Collection[str], draw: Draw, caller: Caller, now: float) -> Member | None:
        open_ones = [one for one in self._everybody if one.instance.address not in tried and one.guards.takes()]
        usable = [one for one in open_ones if _is_usable(one, now)]
        near = [one for one in usable if one.instance.zone == caller.zone]
        candidates = near or usable or open_ones
        return choose(candidates, draw) if candidates else None

    def _weigh(self, everybody: Sequence[Member], now: float) -> None:
        answers = sum(one.health.old_answers for one in everybody)
        mean = sum(one.health.old_seconds for one in everybody) / answers if answers else None
        full = max((slow_start.weight(now - one.born) for one in everybody), default=1.0)
        for one in everybody:
            health = one.health
            if believed(one.utilisation, now - one.reported_at) != one.utilisation:
                one.utilisation = 0.0
            one.penalty = penalty(health.failure_rate, health.latency, mean, one.utilisation)
            one.weight = one.part * slow_start.weight(now - one.born) / full

    def _divide(self, usable: Sequence[Member], caller: Caller) -> None:
        """Sort the usable members into the zones that get a part."""
        by_zone: dict[str, list[Member]] = {}
        for one in usable:
            by_zone.setdefault(one.instance.zone, []).append(one)
        self._lanes = ()
        self._near = tuple(usable)
        if not caller.zone or len(by_zone) < 2:
            return
        states = {
            name: zones.Zone(len(found), sum(one.utilisation for one in found) / len(found))
            for name, found in by_zone.items()
        }
        parts = zones.shares(caller.zone, states, _count(caller.peers))
        if len(parts) == 1:
            self._near = tuple(by_zone[next(iter(parts))])
            return
        untils = accumulate(parts.values())
        self._lanes = tuple((until, tuple(by_zone[name])) for until, name in zip(untils, parts, strict=True))

    def _subset(self, caller: Caller) -> tuple[Member, ...]:
        """Return the members that this caller uses, zone by zone, each with the part of it that is this caller's."""
        by_zone: dict[str, list[Member]] = {}
        for one in self.members.values():
            by_zone.setdefault(one.instance.zone if caller.zone else "", []).append(one)
        peers = [peer.instance for peer in caller.peers]
        place = subset.position(caller.instance, peers)
        chosen: list[Member] = []
        for found in by_zone.values():
            names = [one.instance.instance for one in found]
            begin, length = (0.0, 1.0) if place is None else subset.arc(place, len(peers), len(found))
            ring = subset.order(names)
            for index, part in subset.covered(begin, length, len(found)):
                one = found[ring[index]]
                one.part = part
                chosen.append(one)
        return tuple(chosen)


def _is_usable(one: Member, now: float) -> bool:
    return one.avoided_until <= now and one.ejected_until <= now


def _count(peers: Sequence[Instance]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for peer in peers:
        counts[peer.zone] = counts.get(peer.zone, 0) + 1
    return counts


def _started(instance: Instance) -> str:
    return instance.metadata.get(STARTED, "")


def _born(instance: Instance, now: float, wall: float, *, first: bool) -> float:
    """Return since when an instance has been running, on the steady clock: by its own word, else by when it was first seen.

    Those in the first list are old unless they say otherwise: it is this process that is new.
    """
    try:
        age = wall - float(_started(instance))
    except ValueError:
        return NEVER if first else now
    return now - max(0.0, age)
