"""What a ladder saves beside another one: the bits that it does without at the same quality. Pure.

Between its rungs a ladder is what a player that changes between them gives: log2 of the rate over VMAF, in straight lines. Over the
range of VMAF that both ladders have, the mean distance of the two lines is the mean ratio of their rates: Bjøntegaard's
delta rate ("Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001) with lines for his polynomials, which
need no more than two rungs and never swing out between them.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log2

Ladder = Sequence[tuple[float, float]]
"""Rungs as (bits per second, VMAF)."""

_LEAST_RANGE = 1.0  # VMAF points that two ladders must have in common for a comparison to mean something


def saved_share(ours: Ladder, theirs: Ladder) -> float | None:
    """Return the part of their bits that ours does without at the same VMAF (below 0: it needs more), None without a common range."""
    mine, other = _rising(ours), _rising(theirs)
    if len(mine) < 2 or len(other) < 2:
        return None
    low, high = max(mine[0][0], other[0][0]), min(mine[-1][0], other[-1][0])
    if high - low < _LEAST_RANGE:
        return None
    return float(1 - 2 ** ((_area(mine, low, high) - _area(other, low, high)) / (high - low)))


def _rising(ladder: Ladder) -> list[tuple[float, float]]:
    """Return (VMAF, log2 of the rate) of the rungs that are better than all cheaper ones."""
    kept: list[tuple[float, float]] = []
    for bits_per_second, vmaf in sorted(ladder, key=lambda rung: (rung[0], -rung[1])):
        if bits_per_second > 0 and (not kept or vmaf > kept[-1][0]):
            kept.append((vmaf, log2(bits_per_second)))
    return kept


def _area(line: list[tuple[float, float]], low: float, high: float) -> float:
    """Return the integral of the line over [low, high], which lies within it."""
    area = 0.0
    for (left, at_left), (right, at_right) in pairwise(line):
        begin, end = max(left, low), min(right, high)
        if begin < end:
            slope = (at_right - at_left) / (right - left)
            area += (end - begin) * (at_left + slope * ((begin + end) / 2 - left))
    return area
