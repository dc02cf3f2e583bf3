"""How long the last calls took: a ring of them, sorted when somebody asks."""

import math
from collections.abc import Sequence

from msgspec import Struct

PERCENTILES = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 100.0)
"""Those that Hystrix's stream carries."""

_SIZE = 128  # a power of two; enough to see a p99 move, small enough to be kept for every instance


class LatencySnapshot(Struct, frozen=True):
    """Seconds that the last calls took; `percentiles` stand in the order of PERCENTILES. All are 0.0 without a call."""

    count: int
    mean: float
    percentiles: tuple[float, ...]


class Latencies:
    """The last 128 calls."""

    __slots__ = ("_count", "_ring")

    def __init__(self) -> None:
        self._ring = [0.0] * _SIZE
        self._count = 0

    def record(self, seconds: float) -> None:
        """Add a call."""
        self._ring[self._count & _SIZE - 1] = seconds
        self._count += 1

    def extend(self, seconds: Sequence[float]) -> None:
        """Add several calls, the oldest first."""
        for one in seconds[-_SIZE:]:
            self.record(one)

    def clear(self) -> None:
        """Forget everything."""
        self._count = 0

    def snapshot(self) -> LatencySnapshot:
        """Return mean and percentiles (nearest rank: each is the time of a call that was made)."""
        known = sorted(self._ring[: self._count])
        if not known:
            return LatencySnapshot(0, 0.0, (0.0,) * len(PERCENTILES))
        ranks = (max(1, math.ceil(len(known) * percent / 100.0)) for percent in PERCENTILES)
        return LatencySnapshot(len(known), sum(known) / len(known), tuple(known[rank - 1] for rank in ranks))
