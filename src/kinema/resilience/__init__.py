"""How a call survives a bad moment, and how a service survives its callers. Pure state machines on an injected clock, each usable alone.

What reaches outside is not imported here: the rate limit in Redis is `kinema.resilience.rate_limit_redis`.
"""

from kinema.resilience.backoff import FullJitter
from kinema.resilience.breaker import BreakerConfig, BreakerSnapshot, CircuitBreaker, State
from kinema.resilience.bulkhead import Bulkhead, BulkheadSnapshot
from kinema.resilience.deadline import Deadline
from kinema.resilience.errors import BulkheadFull, CircuitOpen, LimitReached, RateLimited, Refused
from kinema.resilience.gcra import Verdict, gcra
from kinema.resilience.hedge import HedgeDelay
from kinema.resilience.limiter import Limiter, LimiterSnapshot
from kinema.resilience.limits import limit
from kinema.resilience.parts import Fallback, Retry
from kinema.resilience.policy import Policy, PolicySnapshot
from kinema.resilience.rate_limit import RateLimiter, RateLimits
from kinema.resilience.retry import Failure
from kinema.resilience.retry_budget import RetryBudget

__all__ = [
    "BreakerConfig",
    "BreakerSnapshot",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadSnapshot",
    "CircuitBreaker",
    "CircuitOpen",
    "Deadline",
    "Failure",
    "Fallback",
    "FullJitter",
    "HedgeDelay",
    "LimitReached",
    "Limiter",
    "LimiterSnapshot",
    "Policy",
    "PolicySnapshot",
    "RateLimited",
    "RateLimiter",
    "RateLimits",
    "Refused",
    "Retry",
    "RetryBudget",
    "State",
    "Verdict",
    "gcra",
    "limit",
]
