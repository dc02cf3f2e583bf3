"""The division of a film: shots, which are encoded with one quality each, and GOPs, which are the segments that are sent.

    1. Keep a cut when it lies at least a second behind the last one kept and before the film's end: of all ways to have
       no shot below a second, going from the left like this keeps the most cuts (it is interval scheduling).
    2. Divide each shot into GOPs of equal length (to a picture), as near to four seconds as that goes. From 2 s of shot
       on, a GOP has 2 to 6 s; a shorter shot is one GOP.
    3. Divide a shot of more than half a minute between its GOPs into shots of equal numbers of them, so that quality
       can follow what happens in it.

A film without a cut keeps the grid that needs no look at the pictures: four seconds a GOP, the rest last. All rungs and
codecs share one timeline, therefore a player can change between them at every segment. Segments that begin with a shot
cost less, because the first picture after a cut is coded without the past in any case.
"""

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import msgspec

from kinema.core.errors import BadInput
from kinema.services.encoding.ladder import gop_frames

SHORTEST_SHOT_SECONDS = 1
LONGEST_SHOT_SECONDS = 32


class Shot(msgspec.Struct, frozen=True):
    """Pictures from `start` (counted at the film's constant rate, from 0), `frames` of them, that are encoded alike."""

    start: int
    frames: int


class Gop(msgspec.Struct, frozen=True):
    """Pictures from `start`, `frames` of them, with a key frame at the first and nowhere else: a segment of every rung."""

    start: int
    frames: int


class Timeline(msgspec.Struct, frozen=True):
    """A film's shots and GOPs. Both follow one another without a hole from picture 0 to the last; no GOP crosses a shot."""

    frame_rate: str
    shots: tuple[Shot, ...]
    gops: tuple[Gop, ...]

    @property
    def frames(self) -> int:
        """The pictures of the whole film."""
        return self.shots[-1].start + self.shots[-1].frames

    def gops_between(self, start: int, frames: int) -> tuple[Gop, ...]:
        """Return the GOPs that begin in these pictures, in order."""
        first = bisect_left(self.gops, start, key=lambda gop: gop.start)
        return self.gops[first : bisect_left(self.gops, start + frames, key=lambda gop: gop.start)]


def timeline(cuts: Sequence[int], total: int, rate: Fraction) -> Timeline:
    """Divide a film of `total` pictures whose new shots begin at `cuts` (in any order; those outside of it do not count).

    Raises BadInput for a film without a picture.
    """
    if total < 1:
        raise BadInput(f"A film of {total} pictures cannot be divided into shots; send one that has pictures.")
    starts = _kept(cuts, total, rate)
    shots: list[Shot] = []
    gops: list[Gop] = []
    for start, end in pairwise([*starts, total]):
        inside = _grid(total, rate) if len(starts) == 1 else _equal(start, end - start, rate)
        gops += inside
        shots += _parts(inside, rate)
    return Timeline(f"{rate.numerator}/{rate.denominator}", tuple(shots), tuple(gops))


def _kept(cuts: Sequence[int], total: int, rate: Fraction) -> list[int]:
    """Return the starts of shots that are long enough, the film's own first."""
    shortest = max(1, round(SHORTEST_SHOT_SECONDS * rate))
    starts = [0]
    for cut in sorted(set(cuts)):
        if starts[-1] + shortest <= cut <= total - shortest:
            starts.append(cut)
    return starts


def _grid(total: int, rate: Fraction) -> list[Gop]:
    length = gop_frames(rate)
    return [Gop(start, min(length, total - start)) for start in range(0, total, length)]


def _equal(start: int, frames: int, rate: Fraction) -> list[Gop]:
    number = max(1, round(Fraction(frames, gop_frames(rate))))
    bounds = [start + frames * index // number for index in range(number + 1)]
    return [Gop(begin, end - begin) for begin, end in pairwise(bounds)]


def _parts(gops: list[Gop], rate: Fraction) -> list[Shot]:
    """Return the shots that these GOPs of one uncut scene become."""
    frames = sum(gop.frames for gop in gops)
    number = min(len(gops), -(-frames // max(1, round(LONGEST_SHOT_SECONDS * rate))))
    bounds = [len(gops) * index // number for index in range(number + 1)]
    return [Shot(gops[first].start, sum(gop.frames for gop in gops[first:after])) for first, after in pairwise(bounds)]
