"""Durations counted in fixed buckets: cheap to add to, exact to merge over processes and time, good enough to read p99 from.

Every histogram has the same bounds, so that any two can be added and any window of one can be subtracted from a longer
one. A quantile is read as Prometheus reads it (`histogram_quantile`): find the bucket that holds the rank, go into it in
proportion. Neighbouring bounds differ by a factor of 1.3 to 2, and so may an estimate.
"""

from collections.abc import Sequence

BOUNDS: tuple[float, ...] = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0),
)
"""The upper bounds of the buckets in seconds, each included in its bucket; one more bucket has no bound."""

BUCKETS = len(BOUNDS) + 1


def bound_text(bound: float) -> str:
    """Return a bound as it stands in the label `le` (OpenMetrics 1.0: a number in its canonical form)."""
    return f"{bound:g}" if bound % 1 else f"{bound:.1f}"


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the duration in seconds that this share (0 to 1) of the observations does not exceed; None without any.

    `counts` are observations by bucket, not cumulative. Beyond the last bound the last bound is returned.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank = share * total
    below = 0
    for index, count in enumerate(counts):
        if count and below + count >= rank:
            if index == len(BOUNDS):
                return BOUNDS[-1]
            low = BOUNDS[index - 1] if index else 0.0
            return low + (BOUNDS[index] - low) * max(0.0, rank - below) / count
        below += count
    return BOUNDS[-1]


def within(counts: Sequence[int], seconds: float) -> int:
    """Return how many observations took at most this long. Raises ValueError unless `seconds` is one of the bounds."""
    return sum(counts[: BOUNDS.index(seconds) + 1])
