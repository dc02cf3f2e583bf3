"""One instance as a balancer sees it: what is under way, what it answered lately, and whether it may be picked."""

from typing import TYPE_CHECKING

from kinema.model.discovery import Instance
from kinema.rpc.balance.guards import Guards
from kinema.rpc.balance.health import Health

if TYPE_CHECKING:
    from kinema.rpc.balance.pool import Pool

NEVER = float("-inf")


class Member:
    """Plain state, changed by the pool. Times are of the steady clock; `born` is when the instance began as far as is known."""

    __slots__ = (
        "answered_at",
        "answers",
        "avoided_until",
        "born",
        "consecutive",
        "ejected_until",
        "ejections",
        "guards",
        "health",
        "in_flight",
        "instance",
        "interval_answers",
        "interval_failures",
        "part",
        "penalty",
        "pool",
        "proven",
        "reported",
        "reported_at",
        "utilisation",
        "weight",
    )

    def __init__(self, pool: "Pool", instance: Instance, guards: Guards, born: float, now: float) -> None:
        self.pool = pool
        self.instance = instance
        self.guards = guards
        self.answers: list[float] = []  # seconds of timed calls that were answered since `fold`
        self.answered_at = now  # when the last of them ended
        self.born = born
        self.in_flight = 0
        self.penalty = 1.0
        self.weight = 1.0
        self.part = 1.0  # how much of it lies in this caller's subset
        self.proven = False
        self.avoided_until = NEVER
        self.ejected_until = NEVER
        self.ejections = 0
        self.consecutive = 0
        self.interval_answers = 0
        self.interval_failures = 0
        self.health = Health(now)
        self.reported = b""
        self.reported_at = NEVER
        self.utilisation = 0.0

    def fold(self) -> None:
        """Have health, breaker and limit learn of the answers that have come since the last time."""
        answers = self.answers
        if not answers:
            return
        self.answers = []
        self.interval_answers += len(answers)
        self.health.answers += len(answers)
        self.health.seconds += sum(answers)
        self.guards.learn(answers, self.answered_at)

    def report(self, value: bytes, now: float) -> None:
        """Take over the utilisation that an answer carries; what is no number from 0 on is left out."""
        self.reported_at = now
        if value != self.reported:
            self.reported = value
            self.utilisation = _number(value)


def _number(value: bytes) -> float:
    try:
        found = float(value[:16])
    except ValueError:
        return 0.0
    return min(found, 1.0) if found > 0.0 else 0.0
