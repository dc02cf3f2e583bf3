"""Additive increase, multiplicative decrease: what TCP does with its window, for calls.

    dropped, or slower than `timeout`      limit = limit * 0.9, cut to a whole number
    else, and at least half in use         limit = limit + 1
    else                                   as it is: what is not used is not tested

Looks at losses only, not at latency. Formulas, defaults and bounds of Netflix concurrency-limits' AIMDLimit.
"""

from kinema.resilience.limits.algorithm import check_bounds


class Aimd:
    """A limit between `least` and `most`; `timeout` in nanoseconds."""

    __slots__ = ("_backoff", "_least", "_most", "_timeout", "limit")

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
        self.limit = first

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:  # noqa: ARG002 (see Algorithm)
        """Hear of a call that ended."""
        limit = self.limit
        if dropped or rtt > self._timeout:
            limit = int(limit * self._backoff)
        elif in_flight * 2 >= limit:
            limit += 1
        self.limit = min(self._most, max(self._least, limit))
