"""Additive increase, multiplicative decrease: what TCP does with its window, for calls.

    dropped, or slower than `timeout`      limit = limit * 0.9, cut to a whole number
    else, and at least half in use         limit = limit + 1
    else                                   as it is: what is not used is not tested

Looks at losses only, not at latency. Formulas, defaults and bounds of Netflix concurrency-limits' AIMDLimit.
"""

from kinema.resilience.limits.algorithm import Algorithm, check_bounds


class Aimd(Algorithm):
    """A limit between `least` and `most`; `timeout` in nanoseconds."""

    __slots__ = ("_backoff", "_least", "_limit", "_most", "_timeout")

    def __init__(
        self,
        *,
        first: int = 20,
        least: int = 20,
        most: int = 200,
        backoff: float = 0.9,
        timeout: int = 5_000_000_000,
    ) -> None:
        check_bounds(least, first, most)
        if not 0.5 <= backoff < 1.0:
            raise ValueError(f"backoff is {backoff}; give a number from 0.5 to below 1.")
        self._least = least
        self._most = most
        self._backoff = backoff
        self._timeout = timeout
        self._limit = first

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return self._limit

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:  # noqa: ARG002 (see Algorithm)
        """Hear of a call that ended."""
        limit = self._limit
        if dropped or rtt > self._timeout:
            limit = int(limit * self._backoff)
        elif in_flight * 2 >= limit:
            limit += 1
        self._limit = min(self._most, max(self._least, limit))
