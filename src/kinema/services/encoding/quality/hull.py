"""The upper hull: of all codecs, sizes and CRFs, the encodes of a film that nothing else beats.

Large pictures are wasteful at low rates, small ones never become good. Each codec and size has its own curve of quality
over rate; drawn together, the upper edge of their convex hull holds the encodes that are worth having: with any other, a
mixture of two from the edge looks better for the same bits. Points in order of their rate form the edge as long as each
step brings less quality a bit than the one before (Andrew's monotone chain, 1979). The quality of one film is always of one VMAF
model, else the curves could not be compared.

Source: De Cock, Li, Manohara, Aaron, "Complexity-based consistent-quality encoding in the cloud", ICIP 2016 (Netflix).
"""

from collections.abc import Iterable, Sequence

import msgspec

from kinema.services.encoding.quality.curve import Curve


class HullPoint(msgspec.Struct, frozen=True):
    """An encode worth having: its codec, its size in pixels, its CRF, and the rate (bits per second) and VMAF it will have."""

    codec: str
    width: int
    height: int
    crf: float
    bits_per_second: float
    vmaf: float


class Candidate(msgspec.Struct, frozen=True):
    """The curve of one codec at one size."""

    codec: str
    width: int
    height: int
    curve: Curve


def sampled(candidate: Candidate) -> tuple[HullPoint, ...]:
    """Return what the candidate's curve says at every whole CRF of its range."""
    best, worst = candidate.curve.crfs
    return tuple(
        HullPoint(
            codec=candidate.codec,
            width=candidate.width,
            height=candidate.height,
            crf=crf,
            bits_per_second=candidate.curve.rate(crf),
            vmaf=candidate.curve.vmaf(crf),
        )
        for crf in range(round(best), round(worst) + 1)
    )


def hull(candidates: Sequence[Candidate]) -> tuple[HullPoint, ...]:
    """Return the upper hull of all curves, rising in rate and in quality, each step with less gain a bit than the one before."""
    return upper(point for candidate in candidates for point in sampled(candidate))


def upper(points: Iterable[HullPoint]) -> tuple[HullPoint, ...]:
    """Return those points that lie on the upper edge of the convex hull of all, as far as the edge rises; by rate."""
    edge: list[HullPoint] = []
    for point in sorted(points, key=lambda point: (point.bits_per_second, -point.vmaf)):
        if edge and point.vmaf <= edge[-1].vmaf:
            continue
        while len(edge) > 1 and _gain(edge[-2], edge[-1]) <= _gain(edge[-1], point):
            edge.pop()
        edge.append(point)
    return tuple(edge)


def _gain(less: HullPoint, more: HullPoint) -> float:
    return (more.vmaf - less.vmaf) / (more.bits_per_second - less.bits_per_second)
