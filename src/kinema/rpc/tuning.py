"""What operators may change of calls between services while they go on: breakers, retry budgets, a service cut off or let through.

The breakers are those of every process that calls (each has one for each instance that it calls); the scope of an override
says whose. To hold the breakers of a service open is to cut it off on purpose, so that its callers go on with their
fallbacks while it recovers; to hold them closed is to let calls through whatever they come to.
"""

from functools import partial

from kinema.core.properties import Check, Properties, Property, at_least, between
from kinema.resilience.breaker import BreakerConfig
from kinema.rpc.balance import Balancer
from kinema.rpc.budgets import Budgets

_NEEDED = frozenset({"configuration", "members"})

FAILURE_RATE = Property(
    "rpc.breaker_failure_rate", 0.5, "The share of failed calls at which a breaker opens.", between(0.01, 1)
)
MINIMUM_CALLS = Property(
    "rpc.breaker_minimum_calls", 20, "How many calls a breaker judges by at least.", between(1, 100_000)
)
SLOW_SECONDS = Property(
    "rpc.breaker_slow_seconds", 60.0, "How long a call takes that counts as slow, in seconds.", between(0.001, 3600)
)
SLOW_RATE = Property(
    "rpc.breaker_slow_rate", 1.0, "The share of slow calls at which a breaker opens.", between(0.01, 1)
)
SLEEP_SECONDS = Property(
    "rpc.breaker_sleep_seconds", 5.0, "How long an open breaker lets no call through, in seconds.", between(0.1, 3600)
)
HELD_OPEN = Property[tuple[str, ...]](
    "rpc.breakers_held_open",
    (),
    "Services that nobody calls until further notice.",
    Check(
        "a service other than members and configuration, without which nobody could take it back",
        _NEEDED.isdisjoint,
    ),
)
HELD_CLOSED = Property[tuple[str, ...]](
    "rpc.breakers_held_closed", (), "Services that are called whatever their breakers have seen."
)
RETRY_RATIO = Property("rpc.retry_ratio", 0.2, "How many retries each call allows for, on average.", between(0, 1))
RETRIES_PER_SECOND = Property(
    "rpc.retries_per_second", 3.0, "How many retries a second are allowed beside those, for each service.", at_least(0)
)


def follow(properties: Properties, balancer: Balancer, budgets: Budgets) -> None:
    """Apply the properties to the calls of this process, now and at every change."""
    breakers = partial(_set_breakers, properties, balancer)
    for rate in (FAILURE_RATE, SLOW_SECONDS, SLOW_RATE, SLEEP_SECONDS):
        properties.watch(rate, breakers)
    properties.watch(MINIMUM_CALLS, breakers)
    for services in (HELD_OPEN, HELD_CLOSED):
        properties.watch(services, breakers)
    for amount in (RETRY_RATIO, RETRIES_PER_SECOND):
        properties.watch(amount, partial(_set_budgets, properties, budgets))


def _set_breakers(properties: Properties, balancer: Balancer, _: object) -> None:
    config = BreakerConfig(
        failure_rate=properties[FAILURE_RATE],
        minimum_calls=properties[MINIMUM_CALLS],
        slow_seconds=properties[SLOW_SECONDS],
        slow_rate=properties[SLOW_RATE],
        sleep_seconds=properties[SLEEP_SECONDS],
    )
    balancer.order(config, held_open=properties[HELD_OPEN], held_closed=properties[HELD_CLOSED])


def _set_budgets(properties: Properties, budgets: Budgets, _: object) -> None:
    budgets.allow(properties[RETRY_RATIO], properties[RETRIES_PER_SECOND])
