"""How a rung's bits are divided among the shots of a film: at equal slope, by Lagrange's condition.

The mean VMAF of a film is greatest, for a given number of bits, when one more bit would bring the same wherever it is spent.
So hard shots look a little worse than easy ones, because a point costs more there (all shots at equal VMAF is worse even than all
at one CRF: it pays any price for the last points of the hard ones).

    1. Of each shot take the encodes that the constraints allow: not over the peak that the decoder's buffer can hold for the
       length of a shot, and not so bad that the worst second falls below the floor. Where none is left, the cheapest over the
       peak or the best below the floor stands alone; a peak is a promise, a floor only a wish.
    2. Of these keep the upper edge of the convex hull: every step along it brings less VMAF a bit than the one before.
    3. Begin with the cheapest of each shot. When that is over the budget, lower the floor until it is not.
    4. Take the steps of all shots in order of what they bring a bit, best first, while the budget lasts.
    5. A step that is too long for what is left is taken in part: the CRF that gives just this rate. If others fit behind it,
       the best of these endings counts.

For convex curves this is the optimum (Shoham and Gersho, "Efficient bit allocation for an arbitrary set of quantizers", 1988;
applied to shots by Katsavounidis, "Dynamic optimizer", Netflix 2018). It costs n log n for n points.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import log2

import msgspec

from kinema.core.errors import BadInput
from kinema.services.encoding.allocation.constraints import Bucket, bucket, decoder_level
from kinema.services.encoding.allocation.rungs import PlannedRung, PlannedShot, Policy
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.quality.curve import Curve, Point
from kinema.services.encoding.quality.hull import HullPoint

_CRF_STEP = 0.5
_HALVINGS = 24
_CONSTRAINED = 60  # points of a size, at most about twice as many, at which the peak is looked at


class ShotCurve(msgspec.Struct, frozen=True):
    """What a shot of `frames` pictures from `start` on becomes at one size: the encodes to choose from, by rising CRF.

    `dip` is how far the shot's worst second lies below its mean, in VMAF points.
    """

    start: int
    frames: int
    points: tuple[Point, ...]
    dip: float = 0.0


class Allocation(msgspec.Struct, frozen=True):
    """Shots with their CRFs, in the order given; mean rate and VMAF of all; the floor that could be held."""

    shots: tuple[PlannedShot, ...]
    bits_per_second: float
    vmaf: float
    floor: float


def shot_curve(start: int, frames: int, curve: Curve, dip: float = 0.0) -> ShotCurve:
    """Return a fitted curve as encodes to choose from, half a CRF apart."""
    best, worst = curve.crfs
    crfs = [best + _CRF_STEP * number for number in range(int((worst - best) / _CRF_STEP) + 1)]
    return ShotCurve(start, frames, tuple(Point(crf, curve.rate(crf), curve.vmaf(crf)) for crf in crfs), dip)


def allocate(
    shots: Sequence[ShotCurve], bits_per_second: float, *, floor: float = 0.0, peak: float = float("inf")
) -> Allocation:
    """Divide an average of `bits_per_second` among shots, none of them below `floor` (VMAF) or above `peak` (bits a second).

    The average is met to a part in a thousand, unless all shots at their best need less, or all at their cheapest need more.
    Raises BadInput without a shot or for a shot without pictures or encodes.
    """
    if not shots or any(shot.frames < 1 or not shot.points for shot in shots):
        raise BadInput("Bits can be divided among shots that have pictures and a curve each; probe every shot.")
    total = sum(shot.frames for shot in shots)
    budget = bits_per_second * total

    ordered = [_below(shot, peak) for shot in shots]

    def cheapest(floor: float) -> float:
        firsts = (_good(points, floor + shot.dip)[0] for shot, points in zip(shots, ordered, strict=True))
        return sum(shot.frames * point.bits_per_second for shot, point in zip(shots, firsts, strict=True))

    if floor > 0 and cheapest(floor) > budget:
        low, high = 0.0, floor
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if cheapest(middle) <= budget else (low, middle)
        floor = low
    edges = [_edge(_good(points, floor + shot.dip)) for shot, points in zip(shots, ordered, strict=True)]
    taken = _take(shots, edges, budget)
    planned = tuple(_planned(shot, point) for shot, point in zip(shots, taken, strict=True))
    return Allocation(
        shots=planned,
        bits_per_second=sum(shot.frames * point.bits_per_second for shot, point in zip(shots, taken, strict=True))
        / total,
        vmaf=sum(shot.frames * point.vmaf for shot, point in zip(shots, taken, strict=True)) / total,
        floor=floor,
    )


def _take(shots: Sequence[ShotCurve], edges: Sequence[Sequence[Point]], budget: float) -> list[Point]:
    """Return each shot's encode after all steps that the budget (bits a second times pictures) pays for.

    A step that is too long is tried in part, and the shot is left as it is while the others go on: of all such endings the
    best one counts, because part of a step over a hollow of the curve may bring less than another shot's next whole one.
    """
    taken = [edge[0] for edge in edges]
    spent = sum(shot.frames * point.bits_per_second for shot, point in zip(shots, taken, strict=True))
    gained, best, ending = 0.0, -1.0, list(taken)
    closed: set[int] = set()
    for index, point in _steps(edges):
        if index in closed:
            continue
        frames, before = shots[index].frames, taken[index]
        cost = frames * (point.bits_per_second - before.bits_per_second)
        if spent + cost <= budget:
            spent += cost
            gained += frames * (point.vmaf - before.vmaf)
            taken[index] = point
            continue
        closed.add(index)
        rate = before.bits_per_second + max(0.0, budget - spent) / frames
        part = _at_rate(shots[index].points, rate, before, point)
        if gained + frames * (part.vmaf - before.vmaf) > best:
            best = gained + frames * (part.vmaf - before.vmaf)
            ending = [*taken[:index], part, *taken[index + 1 :]]
    return ending if closed else taken


def _steps(edges: Sequence[Sequence[Point]]) -> Iterator[tuple[int, Point]]:
    """Yield (shot, its next encode) over all edges, what brings most a bit first; a shot's own steps stay in order."""
    steps = [
        (-(more.vmaf - less.vmaf) / (more.bits_per_second - less.bits_per_second), index, number, more)
        for index, edge in enumerate(edges)
        for number, (less, more) in enumerate(pairwise(edge))
    ]
    for _, index, _, point in sorted(steps, key=lambda step: step[:3]):
        yield index, point


def _below(shot: ShotCurve, peak: float) -> list[Point]:
    """Return the shot's encodes up to this rate, cheapest first; the cheapest one alone when all are above."""
    points = sorted(shot.points, key=lambda point: (point.bits_per_second, -point.vmaf))
    return [point for point in points if point.bits_per_second <= peak] or points[:1]


def _good(points: Sequence[Point], vmaf: float) -> Sequence[Point]:
    """Return the encodes of at least this quality; the best one alone when there is none."""
    return [point for point in points if point.vmaf >= vmaf] or [max(points, key=lambda point: point.vmaf)]


def _edge(points: Sequence[Point]) -> list[Point]:
    """Return the upper edge of the encodes' convex hull, as far as it rises; they come cheapest first, and so does it."""
    edge: list[Point] = []
    for point in points:
        if edge and (point.vmaf <= edge[-1].vmaf or point.bits_per_second <= edge[-1].bits_per_second):
            continue
        while len(edge) > 1 and _gain(edge[-2], edge[-1]) <= _gain(edge[-1], point):
            edge.pop()
        edge.append(point)
    return edge


def _gain(less: Point, more: Point) -> float:
    return (more.vmaf - less.vmaf) / (more.bits_per_second - less.bits_per_second)


def _at_rate(points: Sequence[Point], rate: float, low: Point, high: Point) -> Point:
    """Return the encode with this rate, on the shot's own curve between two of its points."""
    within = sorted(
        (point for point in points if low.bits_per_second <= point.bits_per_second <= high.bits_per_second),
        key=lambda point: point.bits_per_second,
    )
    for less, more in pairwise(within):
        if less.bits_per_second <= rate <= more.bits_per_second and less.bits_per_second < more.bits_per_second:
            share = log2(rate / less.bits_per_second) / log2(more.bits_per_second / less.bits_per_second)
            return Point(
                crf=less.crf + share * (more.crf - less.crf),
                bits_per_second=rate,
                vmaf=less.vmaf + share * (more.vmaf - less.vmaf),
            )
    return low


def _planned(shot: ShotCurve, point: Point) -> PlannedShot:
    return PlannedShot(
        start=shot.start,
        frames=shot.frames,
        crf=round(point.crf, 2),
        bits_per_second=max(1, round(point.bits_per_second)),
        vmaf=point.vmaf,
    )


def film_points(codec: str, width: int, height: int, shots: Sequence[ShotCurve]) -> tuple[HullPoint, ...]:
    """Return what the whole film becomes at one size when its shots share bits at equal slope: a point for each of its slopes.

    The points of all sizes together have the hull on which `choose_rungs` works; `crf` is the mean of the shots'.
    """
    if not shots:
        raise BadInput("A film without shots has no hull; divide it first.")
    edges = [_edge(_below(shot, float("inf"))) for shot in shots]
    taken = [edge[0] for edge in edges]
    total = sum(shot.frames for shot in shots)
    shares = [shot.frames / total for shot in shots]
    rate, vmaf, crf = (
        sum(share * value for share, value in zip(shares, values, strict=True))
        for values in zip(*((point.bits_per_second, point.vmaf, point.crf) for point in taken), strict=True)
    )
    found = [HullPoint(codec, width, height, crf, rate, vmaf)]
    for index, point in _steps(edges):
        share, before = shares[index], taken[index]
        rate += share * (point.bits_per_second - before.bits_per_second)
        vmaf += share * (point.vmaf - before.vmaf)
        crf += share * (point.crf - before.crf)
        taken[index] = point
        found.append(HullPoint(codec, width, height, crf, rate, vmaf))
    return tuple(found)


def points_under_peak(
    codec: str, width: int, height: int, shots: Sequence[ShotCurve], facts: Facts, policy: Policy
) -> tuple[HullPoint, ...]:
    """Return the points of `film_points` that are left, and what they become, when no shot may be above its average's peak.

    At a size where a shot's cheapest encode is above the peak there is none; when that is so everywhere, the dearest is kept.
    """
    free = film_points(codec, width, height, shots)
    level = decoder_level(codec, width, height, Fraction(facts.frame_rate))
    found: list[HullPoint] = []
    for point in free[:: max(1, len(free) // _CONSTRAINED)]:
        peak = bucket(
            point.bits_per_second, level, policy.peak_ratio, policy.buffer_seconds, policy.window_seconds
        ).peak_bits_per_second
        held = allocate(shots, point.bits_per_second, peak=peak)
        if max(shot.bits_per_second for shot in held.shots) <= peak:
            found.append(HullPoint(codec, width, height, point.crf, held.bits_per_second, held.vmaf))
    return tuple(found) or free[-1:]


def allocate_shots(rung: PlannedRung, shots: Sequence[ShotCurve], facts: Facts, policy: Policy) -> PlannedRung:
    """Return the rung with its average divided among the film's shots, whose curves are those of its codec and size.

    The peak is a share of the average: where hard shots may not have all that they want and the others have no use for it,
    the rung gets the highest average that can be spent under its own peak. Raises BadInput where `allocate` does.
    """
    level = decoder_level(rung.codec, rung.width, rung.height, Fraction(facts.frame_rate))

    def limits(average: float) -> Bucket:
        return bucket(average, level, policy.peak_ratio, policy.buffer_seconds, policy.window_seconds)

    average = _spendable(shots, rung.bits_per_second, lambda average: limits(average).peak_bits_per_second)
    peak = limits(average).peak_bits_per_second
    floor = max(0.0, rung.vmaf - policy.worst_drop)
    found = allocate(shots, average, floor=floor, peak=peak)
    limit = limits(found.bits_per_second)
    return msgspec.structs.replace(
        rung,
        bits_per_second=max(1, round(found.bits_per_second)),
        vmaf=found.vmaf,
        peak_bits_per_second=limit.peak_bits_per_second,
        buffer_bits=limit.buffer_bits,
        reason=f"{rung.reason} {_why(found, floor, peak)}",
        shots=found.shots,
    )


def _spendable(shots: Sequence[ShotCurve], average: float, peak: Callable[[float], float]) -> float:
    """Return the highest average, up to this one, that all shots together can take when none is above the average's peak."""

    def taken(average: float) -> float:
        most = peak(average)
        return sum(shot.frames * _below(shot, most)[-1].bits_per_second for shot in shots) / total

    total = max(1, sum(shot.frames for shot in shots))
    if not shots or taken(average) >= average:
        return average
    low, high = 0.0, average
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if taken(middle) >= middle else (low, middle)
    return low


def _why(found: Allocation, floor: float, peak: float) -> str:
    """Return how the shots came to their CRFs, in one sentence."""
    crfs = [shot.crf for shot in found.shots]
    said = f"Shots get CRF {min(crfs):.1f} to {max(crfs):.1f}, where a bit brings the same in each"
    if held := sum(shot.bits_per_second >= 0.97 * peak for shot in found.shots):
        said += f"; {held} of {len(crfs)} held at the peak"
    if found.floor < floor - 0.5:
        said += (
            f"; the worst second may fall to VMAF {found.floor:.0f}, because the bits do not suffice for {floor:.0f}"
        )
    return said + "."
