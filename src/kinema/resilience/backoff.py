"""Waits between attempts: a random time below a bound that doubles ("full jitter"), so that callers do not return in step."""

import random


class FullJitter:
    """The n-th wait (from 0) is uniform between 0 and min(`most`, `base` * 2**n) seconds."""

    __slots__ = ("_base", "_most", "_random")

    def __init__(self, base: float, most: float, source: random.Random | None = None) -> None:
        if not (0.0 <= base < float("inf") and 0.0 <= most < float("inf")):
            raise ValueError(f"A base of {base} s and at most {most} s: give seconds from 0 on.")
        self._base = base
        self._most = most
        self._random = source or random.Random()  # noqa: S311 (spreads load, guards nothing)

    def bound(self, attempt: int) -> float:
        """Return the longest wait before this attempt, in seconds."""
        return min(self._most, self._base * 2.0 ** min(attempt, 32))

    def wait(self, attempt: int) -> float:
        """Return a wait in seconds."""
        return self._random.random() * self.bound(attempt)
