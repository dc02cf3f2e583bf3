"""Which instance gets the next attempt. One balancer serves a whole process: its rpc client and, in a gateway, the proxy.

    pick     a live instance that was not tried, is not ejected or avoided, whose breaker is closed and whose limits have
             room; which of these: pool.py
    begin    it gets the request: counts it, takes its permits
    end      how it went: health, outliers, breaker and limit learn from it

`pick` changes nothing and may be asked just to see whether there is anybody. One that is used is followed at once by `begin`, and
that by exactly one `end` with what `begin` returned. Of answers, which are the rule, everybody learns a little later and of several
at once: with the next pick after a tenth of a second, before anything that went wrong, and whenever somebody looks.
"""

from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Protocol

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, Unavailable
from kinema.http.headers import Headers
from kinema.model.balance import BalancerState, InstanceState
from kinema.model.discovery import Instance
from kinema.resilience.breaker import BreakerConfig, State
from kinema.resilience.errors import CircuitOpen, LimitReached
from kinema.rpc.balance.guards import GuardLimits, Guards
from kinema.rpc.balance.member import NEVER, Member
from kinema.rpc.balance.outcome import Outcome
from kinema.rpc.balance.pool import Caller, Pool

UTILISATION = b"x-kinema-utilisation"
"""On answers of our services: how much of what it can do the instance is doing, 0 to 1."""


Held = Member | None
"""What `Balancer.begin` returns and `Balancer.end` is given."""


class InstanceSource(Protocol):
    """Who knows the live instances (the directory)."""

    def instances(self, service: str) -> Sequence[Instance]:
        """Return the live instances of a service: the same object while nothing has changed."""
        ...


class Balancer:
    """Knows the services that this process calls. `zone` (empty: zones do not matter), `service` and `instance` say who calls."""

    def __init__(
        self,
        source: InstanceSource,
        clock: Clock,
        random: Random | None = None,
        *,
        zone: str = "",
        service: str = "",
        instance: str = "",
        limits: GuardLimits | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._monotonic = clock.monotonic
        self._draw = (random or Random()).random  # noqa: S311 (spreads load, guards nothing)
        self._service = service
        self._caller = Caller(zone, instance, ())
        self._limits = limits or GuardLimits()
        self._held: dict[str, State] = {}
        self._pools: dict[str, Pool] = {}
        self._picked: Member | None = None  # whom `begin` probably means

    def pick(self, service: str, tried: Collection[str] = ()) -> Instance | None:
        """Return an instance whose address is not among the tried ones, or None: `refusal` says why."""
        found = self._source.instances(service)
        pool = self._pools.get(service)
        now = self._monotonic()
        if pool is None or pool.found is not found:
            if not found:
                self._pools.pop(service, None)
                return None
            pool = self._renewed(service, found, now)
        if now >= pool.due:
            self._reconsider(pool, now)
        self._picked = member = pool.pick(tried, self._draw, self._caller, now)
        return None if member is None else member.instance

    def refusal(self, service: str, tried: Collection[str] = ()) -> KinemaError:
        """Return why there is nobody to pick: nobody runs, or those that do are cut off or full for the moment."""
        pool = self._pools.get(service)
        left = [] if pool is None else [one for address, one in pool.members.items() if address not in tried]
        if pool is None or not left:
            return Unavailable(f"No instance of {service} is running; look at `kinema status` and try again.")
        if any(one.guards.lets for one in left):
            return LimitReached(f"Every instance of {service} has as much to do as it can; try again in a moment.")
        if self._held.get(service) is State.FORCED_OPEN:
            return CircuitOpen(f"An operator keeps {service} from being called for now; try again later.")
        seconds = pool.shut_seconds
        return CircuitOpen(
            f"The last calls to {service} failed, so it is left alone for a moment; try again in a few seconds.",
            retry_after=seconds,
        )

    def begin(self, instance: Instance, *, timed: bool = True) -> Held:
        """A request goes to this instance, which was just picked; not `timed`: it may take as long as it likes.

        Returns what `end` is given; None when the instance has left in the meantime.
        """
        member = self._picked
        if member is None or member.instance is not instance:
            pool = self._pools.get(instance.service)
            member = None if pool is None else pool.member(instance)
            if member is None:
                return None
        member.pool.in_flight += 1
        member.in_flight += 1
        member.guards.begin(timed=timed)
        return member

    def end(self, member: Held, outcome: Outcome, seconds: float | None, headers: Headers | None = None) -> None:
        """It is over. `seconds` is how long it took, None if it was not timed; `headers` are those of the answer."""
        if member is None or member.in_flight == 0:
            return
        pool, guards = member.pool, member.guards
        pool.in_flight -= 1
        member.in_flight -= 1
        if headers is not None:
            reported = headers.get(UTILISATION)
            if reported is not None:
                member.report(reported, self._monotonic())
        if outcome is Outcome.ANSWERED:
            member.proven = True
            member.consecutive = 0
            if seconds is not None and guards.closed:
                guards.back()
                member.answers.append(seconds)
                member.answered_at = self._monotonic()
            else:
                guards.end(outcome, seconds)
                member.interval_answers += 1
                if seconds is not None:
                    member.health.answers += 1
                    member.health.seconds += seconds
            if member.avoided_until > NEVER:
                pool.forgive(member)
            return
        member.fold()
        guards.end(outcome, seconds)
        if outcome is not Outcome.ABANDONED:
            self._went_wrong(pool, member, outcome)

    def order(self, config: BreakerConfig, *, held_open: Collection[str], held_closed: Collection[str]) -> None:
        """Have the breakers go by these figures from now on, and hold those of some services open or closed."""
        self._limits = msgspec.structs.replace(self._limits, breaker=config)
        self._held = dict.fromkeys(held_closed, State.FORCED_CLOSED) | dict.fromkeys(held_open, State.FORCED_OPEN)
        for service, pool in self._pools.items():
            pool.order(self._limits, self._held.get(service))

    def count(self, service: str) -> int:
        """Return how many instances of a service there are, as of the last pick."""
        pool = self._pools.get(service)
        return 0 if pool is None else len(pool.members)

    def pressure(self, service: str) -> float:
        """Return the requests to a service that are under way in what its instances' limits allow: 1 is all."""
        pool = self._pools.get(service)
        return 0.0 if pool is None else pool.pressure

    @property
    def in_flight(self) -> int:
        """Requests that are under way."""
        return sum(pool.in_flight for pool in self._pools.values())

    def guarded(self) -> Iterator[tuple[Instance, Guards]]:
        """Yield every instance that this process has called, with what stands before it."""
        for service in sorted(self._pools):
            for member in self._pools[service].members.values():
                member.fold()
                yield member.instance, member.guards

    def snapshot(self) -> BalancerState:
        """Return what is known of every instance that this process has called."""
        now = self._monotonic()
        states = [_state(member, now) for pool in self._pools.values() for member in pool.members.values()]
        return BalancerState(tuple(sorted(states, key=_by_name)))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _renewed(self, service: str, found: Sequence[Instance], now: float) -> Pool:
        pool = self._pools.get(service)
        if pool is None:
            pool = self._pools[service] = Pool(self._clock, self._limits, self._held.get(service))
        pool.renew(found, now)
        return pool

    def _reconsider(self, pool: Pool, now: float) -> None:
        peers = self._source.instances(self._service) if self._service else ()
        if peers is not self._caller.peers:
            self._caller = Caller(self._caller.zone, self._caller.instance, peers)
        pool.reconsider(now, self._caller)

    def _went_wrong(self, pool: Pool, member: Member, outcome: Outcome) -> None:
        now = self._monotonic()
        if outcome is Outcome.SHED:
            member.utilisation, member.reported, member.reported_at = 1.0, b"", now
            return
        member.health.failures += 1
        member.interval_failures += 1
        pool.failed(member, now)
        if outcome is Outcome.REFUSED:
            pool.avoid(member, now)


def _state(member: Member, now: float) -> InstanceState:
    member.fold()
    instance, health = member.instance, member.health
    breaker = member.guards.breaker.snapshot()
    return InstanceState(
        service=instance.service,
        instance=instance.instance,
        address=instance.address,
        zone=instance.zone,
        in_flight=member.in_flight,
        penalty=member.penalty,
        weight=member.weight,
        failure_rate=health.failure_rate,
        latency=health.latency,
        utilisation=member.utilisation,
        ejected_seconds=max(0.0, member.ejected_until - now),
        ejections=member.ejections,
        avoided_seconds=max(0.0, member.avoided_until - now),
        breaker=breaker.state.value,
        breaker_calls=breaker.calls,
        breaker_failures=breaker.failures,
        breaker_slow=breaker.slow,
        limit=member.guards.limiter.limit,
    )


def _by_name(state: InstanceState) -> tuple[str, str]:
    return state.service, state.instance
