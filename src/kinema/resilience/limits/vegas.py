"""Vegas: estimate the callee's queue from the shortest latency ever seen, and keep it between two bounds.

    queue = limit * (1 - shortest / rtt), rounded up                       L = log10(limit), a whole number of at least 1
    dropped                       limit - L
    less than half in use         as it is
    queue <= L                    limit + 6 L          nobody waits: grow fast
    queue < 3 L                   limit + L
    queue > 6 L                   limit - L
    between                       as it is

The shortest latency is taken anew from time to time (after 30 * limit samples, times a random 0.5 to 1), so that a callee that
became slower for good is not taken for an overloaded one for ever. After TCP Vegas (L. Brakmo and L. Peterson, 1995); formulas
and defaults of Netflix concurrency-limits' VegasLimit.
"""

import math
import random

from kinema.resilience.limits.algorithm import Algorithm, check_bounds, whole_log10


class Vegas(Algorithm):
    """A limit from 1 to `most`. `source` decides when the shortest latency is taken anew."""

    __slots__ = ("_estimate", "_jitter", "_most", "_probes", "_random", "_samples", "_shortest", "_smoothing")

    def __init__(
        self,
        *,
        first: int = 20,
        most: int = 1000,
        smoothing: float = 1.0,
        probes: int = 30,
        source: random.Random | None = None,
    ) -> None:
        check_bounds(1, first, most)
        self._most = most
        self._smoothing = smoothing
        self._probes = probes
        self._random = source or random.Random()  # noqa: S311 (spreads probes, guards nothing)
        self._estimate = float(first)
        self._shortest = 0
        self._samples = 0
        self._jitter = self._random.uniform(0.5, 1.0)

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._estimate)

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:  # noqa: ARG002 (see Algorithm)
        """Hear of a call that ended; `rtt` of 0 is taken as 1 ns."""
        rtt = max(1, rtt)
        self._samples += 1
        if self._jitter * self._probes * self._estimate <= self._samples:
            self._jitter = self._random.uniform(0.5, 1.0)
            self._samples = 0
            self._shortest = rtt
        elif self._shortest == 0 or rtt < self._shortest:
            self._shortest = rtt
        else:
            self._move(rtt, in_flight, dropped=dropped)

    def _move(self, rtt: int, in_flight: int, *, dropped: bool) -> None:
        estimate = self._estimate
        step = whole_log10(estimate)
        queue = math.ceil(estimate * (1 - self._shortest / rtt))
        if dropped:
            moved = estimate - step
        elif in_flight * 2 < estimate:
            return
        elif queue <= step:
            moved = estimate + 6 * step
        elif queue < 3 * step:
            moved = estimate + step
        elif queue > 6 * step:
            moved = estimate - step
        else:
            return
        moved = max(1.0, min(self._most, moved))
        self._estimate = (1 - self._smoothing) * estimate + self._smoothing * moved
