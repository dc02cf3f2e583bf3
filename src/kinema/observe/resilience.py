"""What the resilience parts of a process say of themselves, for its reports and its /metrics page.

Breakers, limits and ejections are the balancer's, one an instance that this process has called lately; what was shed is told
by the shedders, one a service of this process and one at the gateway.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from kinema.core.clock import Clock
from kinema.core.metrics import Metrics, Sample, sample
from kinema.model.balance import BalancerState, InstanceState
from kinema.model.shedding import SheddingState
from kinema.model.telemetry import Breaker, Ejection, Limit, ResilienceState, Shed


class ResilienceMeter:
    """Asks the parts whenever somebody wants to know; `balancer` and the shedders are their `snapshot` methods."""

    def __init__(self, balancer: Callable[[], BalancerState], metrics: Metrics, clock: Clock) -> None:
        self._balancer = balancer
        self._clock = clock
        self._shedders: dict[str, Callable[[], SheddingState]] = {}
        metrics.source(self._samples)

    def add_shedder(self, at: str, snapshot: Callable[[], SheddingState]) -> None:
        """Tell of what is turned away at `at`, the name of a service."""
        self._shedders[at] = snapshot

    def report(self) -> ResilienceState:
        """Return the state of now."""
        instances = self._balancer().instances
        now = self._clock.now()
        return ResilienceState(
            breakers=tuple(_breaker(one) for one in instances),
            limits=tuple(Limit(one.service, one.instance, one.limit, one.in_flight) for one in instances),
            ejections=tuple(ejection for one in instances if (ejection := _ejection(one, now)) is not None),
            shed=tuple(
                Shed(at, priority, count, state.shed[priority])
                for at, state in self._shedding()
                for priority, count in state.admitted.items()
            ),
        )

    def _shedding(self) -> Iterator[tuple[str, SheddingState]]:
        return ((at, snapshot()) for at, snapshot in self._shedders.items())

    def _samples(self) -> Iterator[Sample]:
        limits: Counter[str] = Counter()
        in_flight: Counter[str] = Counter()
        breakers: Counter[tuple[str, str]] = Counter()
        ejected: Counter[str] = Counter()
        for one in self._balancer().instances:
            limits[one.service] += one.limit
            in_flight[one.service] += one.in_flight
            breakers[one.service, one.breaker] += 1
            ejected[one.service] += one.ejected_seconds > 0
        for peer, most in limits.items():
            yield sample("kinema_concurrency_limit", most, peer=peer)
            yield sample("kinema_concurrency_in_flight", in_flight[peer], peer=peer)
            yield sample("kinema_ejected_instances", ejected[peer], peer=peer)
        for (peer, state), count in breakers.items():
            yield sample("kinema_breakers", count, peer=peer, state=state)
        for at, shedding in self._shedding():
            for outcome, counts in (("admitted", shedding.admitted), ("shed", shedding.shed)):
                for priority, count in counts.items():
                    yield sample("kinema_admissions_total", count, service=at, priority=priority, outcome=outcome)


def _breaker(one: InstanceState) -> Breaker:
    calls = one.breaker_calls
    return Breaker(
        service=one.service,
        instance=one.instance,
        state=one.breaker,
        failure_ratio=one.breaker_failures / calls if calls else 0.0,
        slow_ratio=one.breaker_slow / calls if calls else 0.0,
        calls=calls,
    )


def _ejection(one: InstanceState, now: float) -> Ejection | None:
    """Return until when an instance is left alone, if it is: for its errors, or because it refused a connection."""
    if one.ejected_seconds > 0:
        return Ejection(one.service, one.instance, "outlier", now + one.ejected_seconds)
    if one.avoided_seconds > 0:
        return Ejection(one.service, one.instance, "refused a connection", now + one.avoided_seconds)
    return None
