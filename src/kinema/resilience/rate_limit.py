"""Rate limits in memory: one number for each of a bounded number of keys.

Keys stand in the order in which they last took something. Those in front are the first whose burst is whole again, and such a key
need not be remembered: each call forgets up to two of them. When there are `most_keys` all the same, the front one is forgotten,
which gives that key its burst back early and costs the same whatever comes.
"""

from typing import Protocol

from kinema.core.clock import Clock
from kinema.core.errors import BadInput
from kinema.resilience.gcra import ROUNDING as _ROUNDING
from kinema.resilience.gcra import Verdict, gcra

_MOST_KEY = 512


class RateLimits(Protocol):
    """Who judges calls by key: in memory (here), or in Redis for all processes together (`rate_limit_redis`)."""

    async def take(self, key: str, cost: int = 1) -> Verdict:
        """Judge a call and count it if it passes."""
        ...


class RateLimiter:
    """`rate` calls a second for each key, `burst` at once. For one process."""

    __slots__ = ("_arrivals", "_clock", "_interval", "_most_keys", "_window", "burst", "rate")

    def __init__(self, clock: Clock, rate: float, burst: int, most_keys: int = 100_000) -> None:
        check_rate(rate, burst)
        if not most_keys >= 1:
            raise ValueError(f"A memory for {most_keys} keys: give at least 1.")
        self._clock = clock
        self._most_keys = most_keys
        self._arrivals: dict[str, float] = {}
        self._interval = 1.0 / rate
        self._window = burst / rate
        self.rate = rate
        self.burst = burst

    def __len__(self) -> int:
        return len(self._arrivals)

    def take_now(self, key: str, cost: int = 1) -> Verdict:
        """Judge a call and count it if it passes."""
        check_key(key, cost)
        now = self._clock.monotonic()
        arrivals = self._arrivals
        verdict = gcra(arrivals.get(key, 0.0), now, self.rate, self.burst, cost)
        if verdict.allowed:
            arrivals.pop(key, None)
            arrivals[key] = verdict.arrival
            self._forget(now)
        return verdict

    def left_after(self, key: str, now: float) -> float:
        """Count a call of cost 1 at `now` (of this limiter's clock) and return how many more would pass; below 0: it does not.

        `take_now` for hot paths, where nearly every call passes: the same rule without a verdict.
        """
        arrivals = self._arrivals
        new = arrivals.pop(key, 0.0)
        if new < now:  # noqa: PLR1730 -- for every request; max() costs three times as much
            new = now
        left = self._window - (new + self._interval - now)
        if left < -_ROUNDING:
            arrivals[key] = new
            return -1.0
        arrivals[key] = new + self._interval
        if len(arrivals) > 1:
            self._forget(now)
        return left * self.rate + _ROUNDING * self.rate

    async def take(self, key: str, cost: int = 1) -> Verdict:
        """Judge a call and count it if it passes; never waits."""
        return self.take_now(key, cost)

    def _forget(self, now: float) -> None:
        arrivals = self._arrivals
        for _ in range(2):
            if len(arrivals) == 1:
                return
            first = next(iter(arrivals))
            if len(arrivals) <= self._most_keys and arrivals[first] > now:
                return
            del arrivals[first]


def check_key(key: str, cost: int) -> None:
    """Raise BadInput for a key over 512 characters or a cost below 1."""
    if len(key) > _MOST_KEY or cost < 1:
        raise BadInput(f"A key of {len(key)} characters at a cost of {cost}: give at most {_MOST_KEY}, and at least 1.")


def check_rate(rate: float, burst: int) -> None:
    """Raise ValueError for a rate or burst that lets nothing through, or everything."""
    if not (0.0 < rate < float("inf") and 1 <= burst < float("inf")):
        raise ValueError(f"A rate of {rate} with a burst of {burst}: give a rate above 0 and a burst of at least 1.")
