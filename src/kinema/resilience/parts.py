"""What a policy is made of: how often to try, what to answer instead, and all of it in one place."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from kinema.core.clock import Clock
from kinema.resilience.backoff import FullJitter
from kinema.resilience.deadline import Deadline
from kinema.resilience.guards import Guards
from kinema.resilience.retry import Failure
from kinema.resilience.retry_budget import RetryBudget


class Retry(Struct, frozen=True, kw_only=True):
    """At most `attempts` attempts (the first included), with a pause of `backoff` before each further one."""

    attempts: int = 3
    backoff: FullJitter = FullJitter(base=0.02, most=0.2)
    attempt_seconds: float | None = None
    """Each attempt is cut off after so long, so that a time-out leaves time for another."""

    def __post_init__(self) -> None:
        if not (1 <= self.attempts < math.inf and (self.attempt_seconds is None or self.attempt_seconds > 0)):
            raise ValueError(
                f"{self.attempts} attempts of {self.attempt_seconds} s: give at least one, above 0 s each."
            )


class Fallback(Struct, frozen=True, kw_only=True):
    """What to answer when the call failed for good: `answer(error)`, plain or awaitable.

    `on`: the errors it is for; by default all failures and refusals, but not what the caller did wrong. Attempts end
    `reserve_seconds` before the deadline (at most half of it), so that it, too, is kept when the answer takes a moment.
    """

    answer: Callable[[Exception], Any | Awaitable[Any]]
    on: tuple[type[Exception], ...] | None = None
    reserve_seconds: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.reserve_seconds < math.inf:
            raise ValueError(f"reserve_seconds is {self.reserve_seconds}; give seconds from 0 on.")


class Parts(Struct, kw_only=True):
    """A policy's parts. Policies that are made of one another share all that has state."""

    clock: Clock
    guards: Guards
    budget: RetryBudget
    deadline: float | None
    fallback: Fallback | None
    retry: Retry | None
    judge_error: Callable[[Exception], Failure | None]
    judge_result: Callable[[Any], Failure | None] | None
    idempotent: bool

    def seconds(self, deadline: Deadline | None) -> float:
        """Return how long an attempt may take that begins now; infinity when nothing bounds it."""
        left = math.inf if deadline is None else deadline.remaining
        if self.retry is None or self.retry.attempt_seconds is None:
            return left
        return min(left, self.retry.attempt_seconds)

    def is_good(self, result: Any) -> bool:
        """Say whether an answer is one, and not a failure."""
        return self.judge_result is None or self.judge_result(result) is None
