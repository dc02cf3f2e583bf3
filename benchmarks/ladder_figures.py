"""Figures that compare ladders: BD-rate over a range of VMAF, bits at a VMAF, and how sure a mean over a few films is.

BD-rate (Bjontegaard, VCEG-M33, 2001) is the mean difference of log rate at equal quality. The curves between the points are
monotone piecewise cubics (Fritsch and Carlson, 1980), because a polynomial through ladders of few rungs swings; quality is cut to
the range that both ladders have, inside the one that is asked for.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = Sequence[tuple[float, float]]
"""Rungs: mean bits a second, mean VMAF."""
Floats = npt.NDArray[np.float64]
RANGE = (60.0, 95.0)
_SAMPLES = 2000


def rising(points: Points) -> tuple[Floats, Floats]:
    """Return VMAF and log10 of the rate, both strictly rising: rungs that are worse than a cheaper one are left out."""
    kept: list[tuple[float, float]] = []
    for rate, vmaf in sorted(points):
        if not kept or vmaf > kept[-1][1] + 1e-6:
            kept.append((rate, vmaf))
    return np.array([vmaf for _, vmaf in kept]), np.log10([rate for rate, _ in kept])


def pchip(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return the monotone piecewise cubic through the points (x rising) at these places, which lie between the first and the last x."""
    if len(x) == 2:
        return np.interp(at, x, y)
    steps, slopes = np.diff(x), np.diff(y) / np.diff(x)
    inner = np.zeros(len(x) - 2)
    same = slopes[:-1] * slopes[1:] > 0
    first, second = 2 * steps[1:] + steps[:-1], steps[1:] + 2 * steps[:-1]
    inner[same] = (first + second)[same] / (first[same] / slopes[:-1][same] + second[same] / slopes[1:][same])
    ends = [_end(steps[0], steps[1], slopes[0], slopes[1]), _end(steps[-1], steps[-2], slopes[-1], slopes[-2])]
    tangents = np.array([ends[0], *inner, ends[1]])
    index = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    width = steps[index]
    t = (at - x[index]) / width
    return np.asarray(
        (1 + 2 * t) * (1 - t) ** 2 * y[index]
        + t * (1 - t) ** 2 * width * tangents[index]
        + t**2 * (3 - 2 * t) * y[index + 1]
        + t**2 * (t - 1) * width * tangents[index + 1]
    )


def _end(near: float, far: float, slope: float, next_slope: float) -> float:
    tangent = ((2 * near + far) * slope - near * next_slope) / (near + far)
    if tangent * slope <= 0:
        return 0.0
    return 3 * slope if slope * next_slope <= 0 and abs(tangent) > 3 * abs(slope) else tangent


def bd_rate(ladder: Points, reference: Points, quality: tuple[float, float] = RANGE) -> float | None:
    """Return by how much more bits (0.1: ten per cent) the ladder has than the reference at equal VMAF; None without a common range."""
    (x, y), (reference_x, reference_y) = rising(ladder), rising(reference)
    if min(len(x), len(reference_x)) < 2:
        return None
    low, high = max(x[0], reference_x[0], quality[0]), min(x[-1], reference_x[-1], quality[1])
    if high - low < 1:
        return None
    at = np.linspace(low, high, _SAMPLES)
    return float(10 ** np.mean(pchip(x, y, at) - pchip(reference_x, reference_y, at)) - 1)


def bits_at(ladder: Points, vmaf: float) -> float | None:
    """Return the mean rate in bits a second at which the ladder has this VMAF; None when it does not reach so far."""
    x, y = rising(ladder)
    if len(x) < 2 or not x[0] <= vmaf <= x[-1]:
        return None
    return float(10 ** pchip(x, y, np.array([vmaf]))[0])


def upper_hull(points: Points) -> list[tuple[float, float]]:
    """Return those points that no mixture of two others beats, by rate."""
    edge: list[tuple[float, float]] = []
    for rate, vmaf in sorted(points):
        if edge and vmaf <= edge[-1][1]:
            continue
        while len(edge) > 1 and (edge[-1][1] - edge[-2][1]) * (rate - edge[-1][0]) <= (vmaf - edge[-1][1]) * (
            edge[-1][0] - edge[-2][0]
        ):
            edge.pop()
        edge.append((rate, vmaf))
    return edge


def mean_interval(values: Sequence[float], seed: int = 1, draws: int = 10_000) -> tuple[float, float, float]:
    """Return the mean and the interval that holds 95 % of the means of resampled values (bootstrap, percentiles)."""
    numbers = np.array(values)
    picked = np.random.default_rng(seed).integers(0, len(numbers), (draws, len(numbers)))
    low, high = np.percentile(numbers[picked].mean(axis=1), [2.5, 97.5])
    return float(numbers.mean()), float(low), float(high)
