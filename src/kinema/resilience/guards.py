"""The parts that every attempt of a policy passes, and what is counted of its calls."""

from enum import IntEnum

from kinema.core.clock import Clock
from kinema.resilience.breaker import CircuitBreaker
from kinema.resilience.bulkhead import Bulkhead
from kinema.resilience.hedge import HedgeDelay
from kinema.resilience.limiter import Limiter
from kinema.resilience.rate_limit import RateLimits
from kinema.resilience.windows import RollingSums


class Event(IntEnum):
    """What a policy counts, over the last ten seconds."""

    SUCCESS = 0
    BAD_REQUEST = 1
    FAILURE = 2
    TIMEOUT = 3
    CANCELLED = 4
    SHORT_CIRCUITED = 5
    LIMIT_REACHED = 6
    BULKHEAD_FULL = 7
    RATE_LIMITED = 8
    RETRY = 9
    HEDGE = 10
    HEDGE_WON = 11
    FALLBACK = 12
    FALLBACK_FAILED = 13


class Guards:
    """Any part may be missing."""

    __slots__ = ("breaker", "bulkhead", "clock", "counts", "hedge", "in_flight", "limiter", "name", "rate")

    def __init__(
        self,
        name: str,
        clock: Clock,
        rate: RateLimits | None,
        breaker: CircuitBreaker | None,
        limiter: Limiter | None,
        bulkhead: Bulkhead | None,
        hedge: HedgeDelay | None,
    ) -> None:
        self.name = name
        self.clock = clock
        self.rate = rate
        self.breaker = breaker
        self.limiter = limiter
        self.bulkhead = bulkhead
        self.hedge = hedge
        self.counts = RollingSums(len(Event), 10.0, 10)
        self.in_flight = 0

    def count(self, event: Event) -> None:
        """Count one more of these now."""
        self.counts.add(self.clock.monotonic(), event)
