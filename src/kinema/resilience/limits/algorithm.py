"""What an adaptive concurrency limit is: it hears of every call that ended and says how many may be under way.

Latency is the measure. While a callee has capacity left, more calls at once leave the latency as it is (Little's law: what is
under way is rate times latency); beyond its capacity they only wait in its queue, and latency grows. The algorithms differ in how they
tell the two apart. They are named, and their formulas taken, after Netflix's concurrency-limits, from its Java source.
"""

import math
from collections.abc import Sequence
from typing import Protocol


class Algorithm(Protocol):
    """Pure state; no clock. Times are whole nanoseconds, as in the Java originals, so that the arithmetic is the same."""

    __slots__ = ()

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        ...

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:
        """Hear of a call that began at `start`, took `rtt`, with so many under way (itself included).

        `dropped`: it ended for lack of capacity (time-out, refusal), so its latency means nothing.
        """
        ...

    def answered(self, seconds: Sequence[float], end: int, in_flight: int) -> None:
        """Hear at once of calls that were answered within a moment that ends at `end`, with at most so many under way."""
        for one in seconds:
            rtt = int(one * 1e9)
            self.sample(end - rtt, rtt, in_flight, dropped=False)


def whole_log10(limit: float) -> int:
    """Return the logarithm cut to a whole number, at least 1: the step by which limits of this size move."""
    return 1 if limit < 100 else int(math.log10(limit))


def check_bounds(least: int, first: int, most: int) -> None:
    """Raise ValueError unless 1 <= least <= first <= most."""
    if not 1 <= least <= first <= most:
        raise ValueError(f"A limit from {least} over {first} to {most}: they must be at least 1 and in this order.")
