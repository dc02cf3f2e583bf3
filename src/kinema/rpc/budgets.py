"""Retry budgets, one for each service that is called: a service that fails a lot uses up its own, not that of the others."""

from kinema.core.clock import Clock
from kinema.resilience import RetryBudget


class Budgets:
    """Shared by all callers of one process: its rpc client and, in a gateway, the proxy."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_service: dict[str, RetryBudget] = {}
        self._allowed: tuple[float, float] | None = None

    def of(self, service: str) -> RetryBudget:
        """Return the budget for calls to this service; names come from our own code, so they are few."""
        found = self._by_service.get(service)
        if found is None:
            found = self._by_service[service] = RetryBudget(self._clock)
            if self._allowed is not None:
                found.allow(*self._allowed)
        return found

    def allow(self, ratio: float, per_second: float) -> None:
        """Fill every budget by these figures from now on."""
        self._allowed = ratio, per_second
        for budget in self._by_service.values():
            budget.allow(ratio, per_second)
