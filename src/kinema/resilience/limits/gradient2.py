"""Gradient2: compare the latency of now with a long average of it, and shrink by as much as it is longer.

    long       average of the first 10 latencies, then exponential over 600; 5 % off while it is more than twice the latest
    gradient   1.5 * long / latest, between 0.5 and 1
    limit      0.8 * limit + 0.2 * (limit * gradient + 4), unless less than half of it is in use

Formulas, defaults and bounds of Netflix concurrency-limits' Gradient2Limit, to the last bit: tests/data/golden_limits.csv is that
class's own output. Two weak sides of it are kept too. It ignores drops. And under an overload that lasts, the long average
follows the latency up, the gradient becomes 1 again and the limit creeps to its upper bound: `correlated.py` is what to use.
"""

from kinema.resilience.limits.algorithm import Algorithm, check_bounds

_WARM_UP = 10


class Gradient2(Algorithm):
    """A limit between `least` and `most` that may exceed what latency allows by `queue` calls; `window` in samples."""

    __slots__ = (
        "_count",
        "_estimate",
        "_factor",
        "_least",
        "_long",
        "_most",
        "_queue",
        "_smoothing",
        "_sum",
        "_tolerance",
    )

    def __init__(
        self,
        *,
        first: int = 20,
        least: int = 20,
        most: int = 200,
        queue: int = 4,
        smoothing: float = 0.2,
        tolerance: float = 1.5,
        window: int = 600,
    ) -> None:
        check_bounds(least, first, most)
        if tolerance < 1.0:
            raise ValueError(f"tolerance is {tolerance}; give 1 or more: how many times longer a latency may get.")
        self._least = least
        self._most = most
        self._queue = float(queue)
        self._smoothing = smoothing
        self._tolerance = tolerance
        self._factor = 2.0 / (window + 1)
        self._estimate = float(first)
        self._long = self._sum = 0.0
        self._count = 0

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._estimate)

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:  # noqa: ARG002 (see Algorithm)
        """Hear of a call that ended; `rtt` of 0 is taken as 1 ns, `dropped` is ignored."""
        latest = float(max(1, rtt))
        long = self._average(latest)
        if long / latest > 2:
            self._long = self._long * 0.95
        estimate = self._estimate
        if in_flight < estimate / 2:
            return
        gradient = max(0.5, min(1.0, self._tolerance * long / latest))
        moved = estimate * gradient + self._queue
        moved = estimate * (1 - self._smoothing) + moved * self._smoothing
        self._estimate = max(self._least, min(self._most, moved))

    def _average(self, latest: float) -> float:
        if self._count < _WARM_UP:
            self._count += 1
            self._sum += latest
            self._long = self._sum / self._count
        else:
            self._long = self._long * (1 - self._factor) + latest * self._factor
        return self._long
