"""A budget for retries, so that a failing service is not hit harder than a healthy one.

    each call       puts `ratio` tokens in                  (0.2: one retry for five calls)
    each second     puts `per_second` tokens in             (so that a quiet caller may retry too)
    a retry         takes one token out, or does not happen
    the bucket      holds at most `most` tokens, and starts with ten seconds' worth

With ratio 0.2 a service that fails every call sees at most 1.2 times its usual calls (plus `per_second`).
The idea is Finagle's RetryBudget; the figures are those of its defaults, the minimum lower.
"""

from kinema.core.clock import Clock


class RetryBudget:
    """Shared by all calls of one caller to one service, or to all of them."""

    __slots__ = ("_clock", "_most", "_per_second", "_ratio", "_refilled_at", "_tokens")

    def __init__(self, clock: Clock, ratio: float = 0.2, per_second: float = 3.0, most: float = 100.0) -> None:
        _check(ratio, per_second, most)
        self._clock = clock
        self._ratio = ratio
        self._per_second = per_second
        self._most = most
        self._tokens = min(most, per_second * 10)
        self._refilled_at = clock.monotonic()

    def called(self) -> None:
        """Count a first attempt."""
        if self._tokens < self._most:
            self._tokens += self._ratio

    def allow(self, ratio: float, per_second: float) -> None:
        """Go by other figures from now on; the tokens that are there stay."""
        _check(ratio, per_second, self._most)
        self._refill()
        self._ratio = ratio
        self._per_second = per_second

    @property
    def left(self) -> int:
        """Whole tokens that may be taken now."""
        self._refill()
        return int(self._tokens)

    def take(self) -> bool:
        """Take a token for a retry; False: there is none, give the failure to the caller."""
        if self.left < 1:
            return False
        self._tokens -= 1.0
        return True

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._refilled_at) * self._per_second)
        self._refilled_at = now


def _check(ratio: float, per_second: float, most: float) -> None:
    for name, figure in (("ratio", ratio), ("per_second", per_second), ("most", most)):
        if not 0.0 <= figure < float("inf"):
            raise ValueError(f"{name} is {figure}; give a number from 0 on, 0 for no retries.")
