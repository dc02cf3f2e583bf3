"""What a balancer tells of itself: each instance that this process calls, as it sees it."""

from typing import Literal

import msgspec


class InstanceState(msgspec.Struct, frozen=True):
    """One instance. Times are in seconds, rates and shares from 0 to 1; `latency` is None while too few answers came lately.

    `penalty`: by how many times dearer than a healthy one it is; `weight`: the chance with which it keeps what it is
    picked for (slow start, subset). `ejected_seconds` and `avoided_seconds`: for how much longer it is left alone.
    `breaker_...`: what the breaker judges by, of its window. `limit`: calls that may be under way at once, as the adaptive limit sees it.
    """

    service: str
    instance: str
    address: str
    zone: str
    in_flight: int
    penalty: float
    weight: float
    failure_rate: float
    latency: float | None
    utilisation: float
    ejected_seconds: float
    ejections: int
    avoided_seconds: float
    breaker: Literal["closed", "open", "half-open", "forced-open", "forced-closed"]
    breaker_calls: int
    breaker_failures: int
    breaker_slow: int
    limit: int


class BalancerState(msgspec.Struct, frozen=True):
    """All instances that a process has called lately, by service and name."""

    instances: tuple[InstanceState, ...]
