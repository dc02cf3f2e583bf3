"""Which rungs a title gets: steps of equal quality along its own hull, from where more bits buy nothing to poor networks.

    1. Top: the point of the hull, up to the highest VMAF that anyone can see, where VMAF - gain * log2(rate) is greatest.
       From there on up, twice the bits bring less than `gain` points.
    2. Bottom: what a poor network carries, or the hull's own start where that costs more.
    3. Between: go down from the top by the least move that both loses a whole step of VMAF and saves a whole ratio of the
       bits. A rung nearer than that to its neighbour would look the same, or cost the same: it would be useless.
    4. What is left above the bottom is shared out: all moves are made longer by the same factor, until the last ends there.

Between two points of the hull with one size, rate and CRF are interpolated; where the size changes the nearer point is taken.
The idea of steps by quality on a convex hull is Netflix's ("Per-title encode optimization", 2015); a step of about six points of
VMAF is one that viewers just notice.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import log2

import msgspec
import numpy as np
import numpy.typing as npt

from kinema.core.errors import BadInput
from kinema.services.encoding.allocation.constraints import bucket, decoder_level
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.quality.hull import HullPoint

PRESETS = {"x264": "fast", "x265": "fast", "svt-av1": "9"}


class Policy(msgspec.Struct, frozen=True):
    """What a ladder is worth. VMAF in points (0 to 100), rates in bits a second.

    `least_gain` is what twice the bits must bring below the top; `step` and `least_ratio` are the smallest distance of two
    rungs in VMAF and in rate. No `window_seconds` of a rung hold more than `peak_ratio` times its average, with a buffer of
    `buffer_seconds`. The worst second of a rung is at most `worst_drop` below its mean, where its bits suffice for that.
    """

    top_vmaf: float = 95.0
    least_gain: float = 3.0
    step: float = 7.0
    least_ratio: float = 1.4
    bottom_bits_per_second: float = 200_000.0
    most_rungs: int = 10
    peak_ratio: float = 2.0
    buffer_seconds: float = 1.0
    window_seconds: float = 4.0
    worst_drop: float = 20.0

    def __post_init__(self) -> None:
        """Raise BadInput for a policy that no ladder can follow."""
        positive = (
            self.step, self.bottom_bits_per_second, self.buffer_seconds, self.window_seconds, self.worst_drop,
        )  # fmt: skip
        if not (
            0 < self.top_vmaf <= 100
            and min(positive) > 0
            and self.least_gain >= 0
            and self.least_ratio > 1
            and self.peak_ratio >= 1
            and self.most_rungs >= 1
        ):
            raise BadInput(
                f"No ladder can follow {self}: ratios are above 1, VMAF is at most 100, all else is above 0."
            )


class PlannedShot(msgspec.Struct, frozen=True):
    """Pictures from `start`, `frames` of them, with one CRF, and the mean rate and VMAF that are expected of them."""

    start: int
    frames: int
    crf: float
    bits_per_second: int
    vmaf: float


class PlannedRung(msgspec.Struct, frozen=True):
    """A rendition to make, what is expected of it (mean rate and VMAF), its leaky bucket, and a sentence why it is there.

    `shots` follow one another and cover the film; one with a single CRF has one.
    """

    name: str
    codec: str
    preset: str
    width: int
    height: int
    bits_per_second: int
    vmaf: float
    peak_bits_per_second: int
    buffer_bits: int
    reason: str
    shots: tuple[PlannedShot, ...]


class _Slope:
    """The hull as a function: VMAF over log2 of the rate, rising, and back."""

    def __init__(self, hull: Sequence[HullPoint]) -> None:
        """Take the points that rise in rate and in quality; raise BadInput when there is none."""
        self.points: list[HullPoint] = []
        for point in sorted(hull, key=lambda point: (point.bits_per_second, -point.vmaf)):
            if point.bits_per_second > 0 and (not self.points or point.vmaf > self.points[-1].vmaf):
                self.points.append(point)
        if not self.points:
            raise BadInput("A ladder needs a hull with one point at least; probe the film first.")
        self._octaves = [log2(point.bits_per_second) for point in self.points]
        self._vmaf: npt.NDArray[np.float64] = np.array([point.vmaf for point in self.points])

    @property
    def low(self) -> float:
        """The hull's start, in log2 of bits a second."""
        return self._octaves[0]

    def vmaf(self, octaves: float) -> float:
        """Return the quality at a rate; that of the nearer end outside of the hull."""
        return float(np.interp(octaves, self._octaves, self._vmaf))

    def octaves(self, vmaf: float) -> float:
        """Return the rate that gives this quality; that of the nearer end outside of the hull."""
        return float(np.interp(vmaf, self._vmaf, self._octaves))

    def top(self, policy: Policy) -> float:
        """Return the rate above which the policy finds no bit worth its price."""
        cap = self.octaves(policy.top_vmaf)
        lowest = min(
            log2(policy.bottom_bits_per_second), cap
        )  # noise loses its VMAF so slowly that nothing would be best
        below = [octaves for octaves in self._octaves if lowest <= octaves < cap]
        return max([*below, cap], key=lambda octaves: (self.vmaf(octaves) - policy.least_gain * octaves, -octaves))

    def point(self, octaves: float, most: float) -> HullPoint:
        """Return the encode for a rate: between two of one size, else the nearer one, or the lower one if that is above `most`."""
        after = min(max(bisect_left(self._octaves, octaves), 1), len(self.points) - 1)
        if len(self.points) == 1:
            return self.points[0]
        low, high = self.points[after - 1], self.points[after]
        share = (octaves - self._octaves[after - 1]) / (self._octaves[after] - self._octaves[after - 1])
        share = min(max(share, 0.0), 1.0)
        if (low.codec, low.width, low.height) != (high.codec, high.width, high.height):
            return high if share >= 0.5 and high.vmaf <= most else low
        return msgspec.structs.replace(
            low,
            crf=round(low.crf + share * (high.crf - low.crf), 2),
            bits_per_second=low.bits_per_second * (high.bits_per_second / low.bits_per_second) ** share,
            vmaf=low.vmaf + share * (high.vmaf - low.vmaf),
        )


def choose_rungs(hull: Sequence[HullPoint], facts: Facts, policy: Policy) -> tuple[PlannedRung, ...]:
    """Return the ladder for a film with this hull (of one codec), best rung first; at least one.

    Raises BadInput for a hull without points.
    """
    rate = Fraction(facts.frame_rate)
    allowed = [
        point
        for point in hull
        if point.bits_per_second <= decoder_level(point.codec, point.width, point.height, rate).bits_per_second
    ]
    slope = _Slope(allowed or sorted(hull, key=lambda point: point.bits_per_second)[:1])
    rates = _rates(slope, policy)
    chosen: list[HullPoint] = []
    for octaves in rates:
        point = slope.point(octaves, policy.top_vmaf)
        if not chosen or point.bits_per_second < chosen[-1].bits_per_second:
            chosen.append(point)
    kept = [
        point
        for index, point in enumerate(chosen)
        if index == 0
        or log2(chosen[index - 1].bits_per_second / point.bits_per_second) > 0.5 * log2(policy.least_ratio)
    ]
    last = (
        "the best that was probed" if len(allowed) == len(hull) else "the best that decoders of such pictures promise"
    )
    reasons = [_reason(index, kept, slope, policy, last) for index in range(len(kept))]
    return tuple(_rung(point, reason, facts, policy) for point, reason in zip(kept, reasons, strict=True))


def _rates(slope: _Slope, policy: Policy) -> list[float]:
    """Return the rungs' rates in log2 of bits a second, best first."""
    top = slope.top(policy)
    bottom = max(slope.low, log2(policy.bottom_bits_per_second))

    def down(factor: float) -> list[float]:
        """Return the rates from the top on, by moves `factor` times as long as they must be, while they stay above the bottom."""
        rates = [top]
        while len(rates) <= policy.most_rungs:
            by_ratio = rates[-1] - factor * log2(policy.least_ratio)
            loss = slope.vmaf(rates[-1]) - factor * policy.step
            by_step = slope.octaves(loss) if loss >= slope.vmaf(slope.low) else -1.0
            following = min(by_ratio, by_step)
            if following < bottom:
                break
            rates.append(following)
        return rates

    moves = min(len(down(1.0)) - 1, policy.most_rungs - 1)
    if moves < 1:
        far_enough = top - bottom >= log2(policy.least_ratio) and policy.most_rungs > 1
        return [top, bottom] if far_enough else [top]
    return [*down(_longest(lambda factor: len(down(factor)) - 1 >= moves))[:moves], bottom]


def _longest(holds: Callable[[float], bool]) -> float:
    """Return the greatest factor from 1 on for which this holds, to a millionth; it holds below and not above."""
    low, high = 1.0, 2.0
    while holds(high) and high < 1e6:
        low, high = high, 2 * high
    while high - low > 1e-6 * low:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _reason(index: int, points: Sequence[HullPoint], slope: _Slope, policy: Policy, last: str) -> str:
    """Return why a rung is there, in one sentence; `last` is why the hull ends where it does."""
    point = points[index]
    what = f"VMAF {point.vmaf:.0f} for {_rate(point.bits_per_second)} at {point.width}x{point.height}"
    if index == 0:
        if point.vmaf >= policy.top_vmaf - 0.5:
            why = "more cannot be seen"
        elif point.bits_per_second < slope.points[-1].bits_per_second * 0.999:
            why = f"twice the bits would bring less than {policy.least_gain:g} points"
        else:
            why = last
        return f"The top: {what}, {why}."
    above = points[index - 1]
    saved = f"{100 * (1 - point.bits_per_second / above.bits_per_second):.0f} % fewer bits"
    if index == len(points) - 1:
        poor = point.bits_per_second <= policy.bottom_bits_per_second * 1.2
        why = "what poor networks carry" if poor else "the cheapest that was probed"
        return f"The bottom: {what}, {why}; {saved} than the rung above."
    return f"{what}: {above.vmaf - point.vmaf:.0f} points below the rung above for {saved}."


def _rate(bits_per_second: float) -> str:
    return f"{bits_per_second / 1000:,.0f} kbit/s"


def _rung(point: HullPoint, reason: str, facts: Facts, policy: Policy) -> PlannedRung:
    rate = Fraction(facts.frame_rate)
    level = decoder_level(point.codec, point.width, point.height, rate)
    limits = bucket(point.bits_per_second, level, policy.peak_ratio, policy.buffer_seconds, policy.window_seconds)
    average = max(1, round(point.bits_per_second))
    name = f"video-{min(point.width, point.height)}p-{max(1, round(average / 1000))}k"
    return PlannedRung(
        name=name if point.codec == "x264" else f"{name}-{point.codec}",
        codec=point.codec,
        preset=PRESETS[point.codec],
        width=point.width,
        height=point.height,
        bits_per_second=average,
        vmaf=point.vmaf,
        peak_bits_per_second=limits.peak_bits_per_second,
        buffer_bits=limits.buffer_bits,
        reason=reason,
        shots=(PlannedShot(0, max(1, round(facts.duration_seconds * rate)), point.crf, average, point.vmaf),),
    )
