"""What to probe: which parts of a film, at which sizes and qualities. A probe is a trial encode that is scored.

A film is probed in excerpts. Each begins where a GOP begins, so that its first picture costs what it will cost, and stands
for a number of pictures of the film. Two plans:

    title   a share of the film's pictures. The film is divided into as many stretches of equal length as that buys
            excerpts; each stretch gives the GOP at its middle. Many short excerpts tell more than few long ones, because films
            differ more from shot to shot than within a shot; so a short film gets four at least, down to a second each,
            even where these are more than its share.
    shots   an excerpt from the middle of every shot, two or more from long ones.

Each excerpt is encoded at up to five sizes and the codec's three probing CRFs: three points and a parabola lose less than
a third of a per cent against measuring every CRF, and no size can be left out beforehand, because which of them are on the hull is
just what the film decides.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import msgspec

from kinema.core.errors import BadInput
from kinema.services.encoding.codecs.table import codec_named
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.shots.timeline import Gop, Shot, Timeline

_LINES = (2160, 1440, 1080, 720, 540, 360, 240)
_SIZES = 5
_CLEARLY_SMALLER = 0.85
_LEAST_EXCERPTS = 4
_LEAST_SECONDS = 1  # below, an excerpt is mostly its first picture


class Effort(msgspec.Struct, frozen=True):
    """How much is probed: the share of a title's pictures, and the longest that an excerpt may be, in seconds."""

    share: float = 0.15
    excerpt_seconds: float = 2.0
    shot_seconds: float = 12.0  # of a shot for one excerpt

    def __post_init__(self) -> None:
        """Raise BadInput for an effort that measures nothing."""
        if not (0 < self.share <= 1 and self.excerpt_seconds > 0 and self.shot_seconds > 0):
            raise BadInput(f"{self} probes nothing; the share is above 0 up to 1, seconds are above 0.")


class Excerpt(msgspec.Struct, frozen=True):
    """Pictures [start, start + frames) from the beginning of a GOP of `gop_frames`, which stand for `weight` pictures."""

    start: int
    frames: int
    gop_frames: int
    weight: int


class Trial(msgspec.Struct, frozen=True):
    """One way to encode: codec, its preset, size in pixels, CRF."""

    codec: str
    preset: str
    width: int
    height: int
    crf: float


def sizes(facts: Facts) -> tuple[tuple[int, int], ...]:
    """Return the sizes to try, largest first: the film's own, and the usual ones that are clearly smaller; all even."""
    upright = facts.height > facts.width
    long_side, short_side = max(facts.width, facts.height), min(facts.width, facts.height)
    equal = max(short_side, long_side * 9 / 16)  # the lines of the smallest 16:9 box around the picture
    lines = [equal]
    for each in _LINES:
        if each <= lines[-1] * _CLEARLY_SMALLER:
            lines.append(each)
    if len(lines) > _SIZES:
        lines = [*lines[: _SIZES - 1], next(each for each in lines[_SIZES - 1 :] if each <= 360 or each == lines[-1])]
    found = [(_even(long_side, each / equal), _even(short_side, each / equal)) for each in lines]
    return tuple((short, long) if upright else (long, short) for long, short in found)


def trials(codec: str, preset: str, boxes: Sequence[tuple[int, int]]) -> tuple[Trial, ...]:
    """Return the trials of a codec at these sizes: each at the codec's probing CRFs."""
    return tuple(
        Trial(codec, preset, width, height, crf) for width, height in boxes for crf in codec_named(codec).probe_crfs
    )


def title_plan(timeline: Timeline, effort: Effort) -> tuple[Excerpt, ...]:
    """Return excerpts that stand for the whole film; their weights add up to its pictures."""
    length = _longest(timeline, effort)
    pictures = timeline.frames * effort.share
    if pictures < _LEAST_EXCERPTS * length:
        least = max(1, round(Fraction(timeline.frame_rate) * _LEAST_SECONDS))
        length = min(length, max(least, round(pictures / _LEAST_EXCERPTS)))
    number = min(len(timeline.gops), max(_LEAST_EXCERPTS, round(pictures / length)))
    return _spread(timeline.gops, number, length)


def shot_plan(timeline: Timeline, effort: Effort) -> tuple[tuple[Excerpt, ...], ...]:
    """Return for each shot the excerpts that stand for it; their weights add up to its pictures."""
    length = _longest(timeline, effort)
    return tuple(_of_shot(timeline, shot, length, effort) for shot in timeline.shots)


def _of_shot(timeline: Timeline, shot: Shot, length: int, effort: Effort) -> tuple[Excerpt, ...]:
    gops = timeline.gops_between(shot.start, shot.frames)
    wanted = round(shot.frames / Fraction(timeline.frame_rate) / Fraction(effort.shot_seconds))
    return _spread(gops, min(len(gops), max(1, wanted)), length)


def _longest(timeline: Timeline, effort: Effort) -> int:
    return max(1, round(Fraction(timeline.frame_rate) * Fraction(effort.excerpt_seconds)))


def _spread(gops: Sequence[Gop], number: int, length: int) -> tuple[Excerpt, ...]:
    """Return the GOP at the middle of each of `number` stretches of equal length, or its beginning if it is longer than an excerpt."""
    first = gops[0].start
    total = gops[-1].start + gops[-1].frames - first
    bounds = [total * index // number for index in range(number + 1)]
    weights: dict[Gop, int] = {}
    index = 0
    for begin, end in pairwise(bounds):
        while gops[index].start + gops[index].frames - first <= (begin + end) // 2:
            index += 1
        weights[gops[index]] = weights.get(gops[index], 0) + end - begin
    return tuple(Excerpt(gop.start, min(gop.frames, length), gop.frames, weight) for gop, weight in weights.items())


def _even(side: int, scale: float) -> int:
    """Return the scaled side as the nearest even number that is not larger than the side itself."""
    return max(2, min(2 * round(side * scale / 2), side // 2 * 2))
