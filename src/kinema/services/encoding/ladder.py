"""The fixed ladder: which renditions a film gets, from the size of its pictures alone.

A rung is a box (16:9, on its side for upright films) into which the picture is fitted with its aspect kept, sides even.
Boxes larger than the picture are left out, and the top rung is the picture itself when it lies clearly above the
largest box that fits. Each rung is constant quality with a ceiling: easy films use less than the ceiling, hard ones are
held by it, and the buffer of two seconds keeps every player's buffer model true.

The order is that of encoding. The 360-line rung comes first, with a fast preset: it is the one with which a film becomes
playable, quick to make and good enough to watch. The 240-line rung for poor networks comes last.
"""

from fractions import Fraction
from itertools import pairwise

import msgspec

SEGMENT_SECONDS = 4
_FIRST_HEIGHT = 360


class Rung(msgspec.Struct, frozen=True):
    """One rendition to make: its size in pixels, x264's preset and constant rate factor, ceiling and buffer in bits."""

    name: str
    width: int
    height: int
    preset: str
    crf: int
    peak_bits_per_second: int
    buffer_bits: int


_BOXES: tuple[tuple[int, int], ...] = (
    # height of the box, ceiling in kbit/s at up to 30 pictures a second
    (240, 400),
    (360, 900),
    (480, 1800),
    (720, 4000),
    (1080, 8000),
    (1440, 14000),
    (2160, 28000),
)
_SAME_SIZE = 0.94  # a picture that must shrink by less than this is its box's rung unscaled


def rungs_for(width: int, height: int, rate: Fraction) -> tuple[Rung, ...]:
    """Return the rungs for pictures of this size (as shown) and rate, in the order of encoding; at least one, none upscaled."""
    upright = height > width
    long_side, short_side = (height, width) if upright else (width, height)
    equal = max(short_side, round(long_side * 9 / 16))  # the height of the smallest box around the picture
    heights = [box for box, _ in _BOXES if box / _SAME_SIZE < equal]
    nearest = min((box for box, _ in _BOXES), key=lambda box: abs(box - equal))
    if _SAME_SIZE <= nearest / equal <= 1 / _SAME_SIZE:
        heights.append(nearest)
    elif equal < _BOXES[-1][0]:
        heights.append(equal)
    first = next((height for height in heights if height >= _FIRST_HEIGHT), heights[-1])
    order = [first, *(each for each in heights if each > first), *(each for each in heights if each < first)]
    return tuple(_rung(box, equal, width, height, rate, first=box == first) for box in order)


def _rung(box: int, equal: int, width: int, height: int, rate: Fraction, *, first: bool) -> Rung:
    scale = 1.0 if box / equal >= _SAME_SIZE else box / equal
    ceiling = _ceiling(box) * (1 if rate <= 30 else 1.5)
    peak = round(ceiling) * 1000
    return Rung(
        name=f"video-{box}p",
        width=_even(width, scale),
        height=_even(height, scale),
        preset="superfast" if first else "fast",
        crf=23 if first else 21,
        peak_bits_per_second=peak,
        buffer_bits=2 * peak,
    )


def _ceiling(box: int) -> float:
    """Return the ceiling in kbit/s for a box height, between the table's rows in proportion to the area."""
    for (low, low_rate), (high, high_rate) in pairwise(_BOXES):
        if box <= low:
            return low_rate
        if box < high:
            return low_rate + (high_rate - low_rate) * (box**2 - low**2) / (high**2 - low**2)
    return _BOXES[-1][1]


def _even(side: int, scale: float) -> int:
    """Return the scaled side as the nearest even number that is not larger than the side itself."""
    return max(2, min(2 * round(side * scale / 2), side // 2 * 2))


def gop_frames(rate: Fraction) -> int:
    """Return the pictures in a segment: about four seconds, a whole number, the same for every rung of a film."""
    return max(1, round(SEGMENT_SECONDS * rate))
