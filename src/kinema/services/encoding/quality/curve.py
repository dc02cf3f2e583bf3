"""What an encoder does with a film or a shot at one size: quality and rate as functions of the constant rate factor.

Near the ends of the scale a picture's VMAF hardly changes whatever is spent, and each step of the CRF multiplies the rate
by about the same factor. So logit(VMAF / 100) and log2(rate) are close to straight lines over the CRF, and a parabola
through a few measured points foretells the rest to some tenths of a point. A parabola may turn, though, and a
curve that says "more bits, worse picture" would mislead everything behind it. Therefore:

    The slope of a parabola over [low, high] is linear, from -u at `low` to -v at `high`. It falls everywhere if and only
    if u >= 0 and v >= 0, and it is u and v that are fitted: least squares with two bounds, solved exactly by trying which
    of the bounds hold. A weak pull towards the straight line of the usual slope decides what the points leave open (one
    point, two points, equal points) and is not felt otherwise. Points count by how much VMAF changes with its logit
    there: at 99.9 and at 100 pictures look the same, whatever the logit says.

Source of the scales: measured; the probes of a title lose 0.3 % BD-rate in this form. Both curves can be turned around.
"""

import math
from collections.abc import Sequence

import msgspec

from kinema.core.errors import BadInput

_LEAST_VMAF, _MOST_VMAF = 0.5, 99.8
_LEAST_RATE = 1.0  # bits per second
_LEAST_SLOPE = 1e-4  # per CRF, so that every curve can be turned around
_PULL = 1e-6  # of the usual slope, against points that each weigh 1
_USUAL_LOGITS = 6.0  # that VMAF falls by over the CRFs of a codec
_USUAL_OCTAVES = 4.0  # that the rate falls by over the CRFs of a codec


class Point(msgspec.Struct, frozen=True):
    """A measured encode: its CRF, its mean rate in bits per second and its mean VMAF (0 to 100)."""

    crf: float
    bits_per_second: float
    vmaf: float


class Falling(msgspec.Struct, frozen=True):
    """A parabola that falls over [low, high]: its value at `low`, and how steeply it falls at `low` and at `high`."""

    low: float
    high: float
    top: float
    first: float
    last: float

    def at(self, x: float) -> float:
        """Return the value; outside of [low, high] that of the nearer end."""
        t = min(max(x, self.low), self.high) - self.low
        return self.top - self.first * t - (self.last - self.first) * t * t / (2 * (self.high - self.low))

    def slope(self, x: float) -> float:
        """Return the derivative, below zero; outside of [low, high] that of the nearer end."""
        t = min(max(x, self.low), self.high) - self.low
        return -(self.first + (self.last - self.first) * t / (self.high - self.low))

    def where(self, value: float) -> float:
        """Return the x with this value, or the nearer end when no x has it."""
        if value >= self.top:
            return self.low
        drop = self.top - value
        bend = (self.last - self.first) / (self.high - self.low)
        under = self.first * self.first + 2 * bend * drop
        # This form of the root stays exact when the parabola is nearly a line.
        if under < 0:
            return self.high
        return min(self.high, self.low + 2 * drop / (self.first + math.sqrt(under)))


class Curve(msgspec.Struct, frozen=True):
    """Quality and rate over the CRFs from `crfs[0]` (best) to `crfs[1]`; both fall with the CRF, everywhere."""

    crfs: tuple[float, float]
    logit: Falling
    octaves: Falling

    def vmaf(self, crf: float) -> float:
        """Return the mean VMAF at a CRF."""
        return 100 / (1 + math.exp(-self.logit.at(crf)))

    def rate(self, crf: float) -> float:
        """Return the mean rate at a CRF, in bits per second."""
        return math.exp2(self.octaves.at(crf))

    def crf_for_vmaf(self, vmaf: float) -> float:
        """Return the CRF that gives this VMAF; the nearer end of the range where none does."""
        return self.logit.where(_logit(vmaf))

    def crf_for_rate(self, bits_per_second: float) -> float:
        """Return the CRF that gives this rate; the nearer end of the range where none does."""
        return self.octaves.where(math.log2(bits_per_second)) if bits_per_second > 0 else self.crfs[1]

    def slope(self, crf: float) -> float:
        """Return how much VMAF one more bit per second brings at a CRF (above zero)."""
        vmaf = self.vmaf(crf) / 100
        gain = 100 * vmaf * (1 - vmaf) * self.logit.slope(crf)
        return gain / (self.rate(crf) * math.log(2) * self.octaves.slope(crf))


def fit(points: Sequence[Point], crfs: tuple[float, float]) -> Curve:
    """Fit the curve of a codec with these CRFs (best, worst) to measured points, one at least. Raises BadInput for none."""
    if not points:
        raise BadInput("A quality curve needs at least one measured point; probe one CRF.")
    low, high = crfs
    spread = [(point.crf, _logit(point.vmaf), _weight(point.vmaf)) for point in points]
    sizes = [(point.crf, _octaves(point.bits_per_second), 1.0) for point in points]
    return Curve(
        crfs=crfs,
        logit=_fall(spread, low, high, _USUAL_LOGITS / (high - low)),
        octaves=_fall(sizes, low, high, _USUAL_OCTAVES / (high - low)),
    )


def _logit(vmaf: float) -> float:
    share = min(max(vmaf, _LEAST_VMAF), _MOST_VMAF) / 100
    return math.log(share / (1 - share))


def _weight(vmaf: float) -> float:
    share = min(max(vmaf, _LEAST_VMAF), _MOST_VMAF) / 100
    return (4 * share * (1 - share)) ** 2


def _octaves(bits_per_second: float) -> float:
    return math.log2(max(bits_per_second, _LEAST_RATE))


def _fall(points: Sequence[tuple[float, float, float]], low: float, high: float, usual: float) -> Falling:
    """Return the falling parabola that is nearest to points of (x, y, weight), pulled weakly to a line of the usual slope.

    With t = x - low and s = t^2 / (2 (high - low)) the parabola is top - first (t - s) - last s. The best `top` makes the
    weighted mean error zero, so after taking means away two slopes are left.
    """
    total = sum(weight for _, _, weight in points)
    width = high - low
    rows = [
        (x - low - (x - low) ** 2 / (2 * width), (x - low) ** 2 / (2 * width), y, weight) for x, y, weight in points
    ]
    a_mean, b_mean, y_mean = (sum(row[column] * row[3] for row in rows) / total for column in range(3))
    aa = ab = bb = ay = by = 0.0
    for a, b, y, weight in rows:
        da, db, dy = a - a_mean, b - b_mean, y_mean - y
        aa, ab, bb = aa + weight * da * da, ab + weight * da * db, bb + weight * db * db
        ay, by = ay + weight * da * dy, by + weight * db * dy
    pull = _PULL * total * width * width / len(points)
    aa, bb, ay, by = aa + pull, bb + pull, ay + pull * usual, by + pull * usual
    first, last = _bounded(aa, ab, bb, ay, by)
    return Falling(low, high, y_mean + first * a_mean + last * b_mean, first, last)


def _bounded(aa: float, ab: float, bb: float, ay: float, by: float) -> tuple[float, float]:
    """Minimise aa u^2 + 2 ab u v + bb v^2 - 2 ay u - 2 by v over u, v >= the least slope: inside, or at the best edge."""
    determinant = aa * bb - ab * ab
    u, v = (ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant
    if u >= _LEAST_SLOPE and v >= _LEAST_SLOPE:
        return u, v
    at_least_v = (max(_LEAST_SLOPE, (ay - ab * _LEAST_SLOPE) / aa), _LEAST_SLOPE)
    at_least_u = (_LEAST_SLOPE, max(_LEAST_SLOPE, (by - ab * _LEAST_SLOPE) / bb))

    def cost(pair: tuple[float, float]) -> float:
        u, v = pair
        return aa * u * u + 2 * ab * u * v + bb * v * v - 2 * ay * u - 2 * by * v

    return min(at_least_v, at_least_u, key=cost)
