"""The studio's own alphabet: geometric capitals, drawn with one pen, described by the path of that pen.

A machine that runs Kinema need not have a font. So each glyph below is a few pen strokes of lines and arcs. To render, every
stroke becomes short segments; each pixel gets its distance to the nearest segment and the moment (0 to 1) at which the pen
came by. A threshold on the distance gives anti-aliased letters of any weight; a threshold on the moment writes them out.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[Any]
"""float32, height x width."""

# Width, then strokes: M x y lifts the pen, L x y draws a line, A cx cy rx ry from to draws an arc (degrees, joined to what
# came before by a line unless the pen was lifted). The baseline is 0, capitals are 1 high, y points up.
GLYPHS: dict[str, tuple[float, str]] = {
    "A": (0.80, "M0 0 L.4 1 L.8 0 M.13 .32 L.67 .32"),
    "B": (0.57, "M0 0 L0 1 L.29 1 A.29 .755 .23 .245 90 -90 L0 .51 M.29 .51 A.3 .255 .27 .255 90 -90 L0 0"),
    "C": (0.85, "M A.5 .5 .5 .5 46 314"),
    "D": (0.76, "M0 0 L0 1 L.26 1 A.26 .5 .5 .5 90 -90 L0 0"),
    "E": (0.50, "M.5 1 L0 1 L0 0 L.5 0 M0 .51 L.43 .51"),
    "F": (0.48, "M.48 1 L0 1 L0 0 M0 .51 L.41 .51"),
    "G": (1.00, "M A.5 .5 .5 .5 46 360 L.58 .5"),
    "H": (0.66, "M0 0 L0 1 M.66 0 L.66 1 M0 .51 L.66 .51"),
    "I": (0.00, "M0 1 L0 0"),
    "J": (0.36, "M.36 1 L.36 .2 A.16 .2 .2 .2 0 -150"),
    "K": (0.60, "M0 0 L0 1 M.56 1 L.0 .43 M.19 .61 L.6 0"),
    "L": (0.46, "M0 1 L0 0 L.46 0"),
    "M": (0.92, "M0 0 L.1 1 L.46 .2 L.82 1 L.92 0"),
    "N": (0.70, "M0 0 L0 1 L.7 0 L.7 1"),
    "O": (1.00, "M A.5 .5 .5 .5 90 450"),
    "P": (0.56, "M0 0 L0 1 L.29 1 A.29 .73 .27 .27 90 -90 L0 .46"),
    "Q": (1.00, "M A.5 .5 .5 .5 90 450 M.6 .3 L.96 -.05"),
    "R": (0.58, "M0 0 L0 1 L.29 1 A.29 .73 .27 .27 90 -90 L0 .46 M.25 .46 L.58 0"),
    "S": (0.52, "M A.26 .75 .225 .25 38 270 A.26 .25 .26 .25 90 -146"),
    "T": (0.60, "M0 1 L.6 1 M.3 1 L.3 0"),
    "U": (0.64, "M0 1 L0 .32 A.32 .32 .32 .32 180 360 L.64 1"),
    "V": (0.76, "M0 1 L.38 0 L.76 1"),
    "W": (1.10, "M0 1 L.27 0 L.55 .9 L.83 0 L1.1 1"),
    "X": (0.64, "M0 1 L.64 0 M.64 1 L0 0"),
    "Y": (0.68, "M0 1 L.34 .46 L.68 1 M.34 .46 L.34 0"),
    "Z": (0.58, "M0 1 L.58 1 L0 0 L.58 0"),
    "0": (0.62, "M A.31 .5 .31 .5 90 450"),
    "1": (0.20, "M0 .8 L.2 1 L.2 0"),
    "2": (0.56, "M A.27 .72 .27 .28 172 -38 L0 0 L.56 0"),
    "3": (0.53, "M A.26 .755 .22 .245 145 -90 M.26 .51 A.26 .255 .27 .255 90 -148"),
    "4": (0.64, "M.48 0 L.48 1 L0 .28 L.64 .28"),
    "5": (0.54, "M.49 1 L.1 1 L.06 .55 A.25 .32 .29 .32 132 -148"),
    "6": (0.58, "M.44 1 L.05 .43 M A.29 .29 .29 .29 90 450"),
    "7": (0.54, "M0 1 L.54 1 L.16 0"),
    "8": (0.54, "M A.27 .76 .22 .24 90 450 M A.27 .26 .27 .26 90 450"),
    "9": (0.58, "M A.29 .71 .29 .29 90 450 M.53 .57 L.14 0"),
    ".": (0.00, "M0 0 L0 0"),
    ",": (0.08, "M.08 .04 L0 -.15"),
    ":": (0.00, "M0 .6 L0 .6 M0 .08 L0 .08"),
    ";": (0.08, "M.08 .6 L.08 .6 M.08 .04 L0 -.15"),
    "'": (0.05, "M.05 1 L0 .8"),
    '"': (0.20, "M.05 1 L0 .8 M.2 1 L.15 .8"),
    "!": (0.00, "M0 1 L0 .3 M0 0 L0 0"),
    "?": (0.50, "M A.24 .75 .24 .25 170 -60 L.24 .3 M.24 0 L.24 0"),
    "-": (0.30, "M0 .45 L.3 .45"),
    "(": (0.18, "M.18 1.1 A.55 .5 .55 .72 124 236"),
    ")": (0.18, "M0 1.1 A-.37 .5 .55 .72 56 -56"),
    "/": (0.40, "M0 -.1 L.4 1.1"),
    "&": (0.78, "M.78 0 L.2 .66 A.36 .8 .2 .2 222 -40 L.14 .43 A.3 .24 .29 .24 130 318 L.74 .42"),
    "+": (0.50, "M0 .45 L.5 .45 M.25 .7 L.25 .2"),
    " ": (0.34, ""),
}

_TOKEN = re.compile(r"([MLA])((?:\s*-?\d*\.?\d+)*)")


class Ink(msgspec.Struct, frozen=True):
    """The pen: `weight` is its width and `tracking` the space between letters, both as fractions of the capitals' height."""

    weight: float = 0.085
    tracking: float = 0.30
    leading: float = 1.75
    hollow: bool = False
    """Draw only the outline of each stroke, as on neon signs and gin labels."""


_PLAIN = Ink()


class Lettering(msgspec.Struct, frozen=True):
    """A block of text as fields over its pixels: `distance` to the pen's path (pixels) and `moment` of writing (0 to 1)."""

    distance: Mask
    moment: Mask
    radius: float
    hollow: bool

    def mask(self, written: float = 1.0, soft: float = 0.04) -> Mask:
        """How much ink there is on each pixel when the pen has come this far (0: not begun, 1: done)."""
        alpha: Mask = np.clip(self.radius + 0.5 - self.distance, 0, 1)
        if self.hollow:
            alpha *= np.clip(self.distance - self.radius * 0.42 + 0.5, 0, 1)
        if written < 1.0:
            alpha *= np.clip((written * (1 + soft) - self.moment) / soft, 0, 1)
        return alpha

    def glow(self, reach: float) -> Mask:
        """A halo that falls off over `reach` pixels from the strokes, to nothing at the block's edges."""
        halo = np.exp(-np.maximum(self.distance - self.radius, 0) / np.float32(reach))
        least = halo.min()
        out: Mask = (halo - least) / (1 - least)
        return out


@cache
def _strokes(glyph: str) -> tuple[tuple[tuple[float, float], ...], ...]:
    strokes: list[list[tuple[float, float]]] = []
    for command, text in _TOKEN.findall(GLYPHS[glyph][1]):
        numbers = [float(number) for number in re.findall(r"-?\d*\.?\d+", text)]
        if command == "M":
            strokes.append([(numbers[0], numbers[1])] if numbers else [])
        elif command == "L":
            strokes[-1].append((numbers[0], numbers[1]))
        else:
            strokes[-1].extend(_arc(*numbers))
    return tuple(tuple(stroke) for stroke in strokes)


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> list[tuple[float, float]]:
    steps = max(2, round(abs(end - start) / 7))
    angles = np.radians(np.linspace(start, end, steps + 1))
    return [(cx + rx * float(np.cos(angle)), cy + ry * float(np.sin(angle))) for angle in angles]


def _advance(glyph: str, ink: Ink) -> float:
    return GLYPHS[glyph][0] + ink.tracking


def line_width(line: str, ink: Ink) -> float:
    """Width of one line, in heights of a capital."""
    return sum(_advance(glyph, ink) for glyph in line) - ink.tracking if line else 0.0


def _paths(lines: list[str], ink: Ink) -> list[list[tuple[float, float]]]:
    """The pen's strokes for a centred block; the origin is the middle of the block, y points down, unit: capital height."""
    paths = []
    top = -((len(lines) - 1) * ink.leading + 1) / 2
    for row, line in enumerate(lines):
        x = -line_width(line, ink) / 2
        base = top + row * ink.leading + 1
        for glyph in line:
            paths += [[(x + px, base - py) for px, py in stroke] for stroke in _strokes(glyph)]
            x += _advance(glyph, ink)
    return paths


def letter(text: str, height: float, ink: Ink = _PLAIN, margin: float = 0.5) -> Lettering:
    """Draw a centred block of text; `height` is that of a capital in pixels, `margin` the border in the same heights.

    Lines are separated by newlines; small letters are written as capitals. Raises KeyError for a character that the
    alphabet does not have.
    """
    lines = text.upper().split("\n")
    wide = max(line_width(line, ink) for line in lines)
    tall = (len(lines) - 1) * ink.leading + 1
    width = 2 * round((wide / 2 + margin) * height)
    rows = 2 * round((tall / 2 + margin) * height)
    reach = margin * height
    distance = np.full((rows, width), reach, np.float32)
    moment = np.ones((rows, width), np.float32)
    paths = _paths(lines, ink)
    total = sum(_length(path) for path in paths) or 1.0
    written = 0.0
    for path in paths:
        points = path if len(path) > 1 else path * 2
        for a, b in pairwise(points):
            length = float(np.hypot(b[0] - a[0], b[1] - a[1]))
            ends = [(x * height + width / 2, y * height + rows / 2) for x, y in (a, b)]
            _segment(distance, moment, ends[0], ends[1], reach, written / total, length / total)
            written += length
    return Lettering(distance, moment, max(0.55, ink.weight * height / 2), ink.hollow)


def _length(path: list[tuple[float, float]]) -> float:
    return sum(float(np.hypot(b[0] - a[0], b[1] - a[1])) for a, b in pairwise(path))


def _segment(
    distance: Mask,
    moment: Mask,
    a: tuple[float, float],
    b: tuple[float, float],
    reach: float,
    begun: float,
    lasting: float,
) -> None:
    """Lower `distance` (and set `moment`) around one segment of the pen's path."""
    rows, width = distance.shape
    left, right = max(0, int(min(a[0], b[0]) - reach)), min(width, int(max(a[0], b[0]) + reach) + 2)
    top, bottom = max(0, int(min(a[1], b[1]) - reach)), min(rows, int(max(a[1], b[1]) + reach) + 2)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32)[None, :] + 0.5 - a[0]
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - a[1]
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    along = np.clip((x * dx + y * dy) / square, 0, 1) if square else np.zeros((1, 1), np.float32)
    found = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
    box = distance[top:bottom, left:right]
    nearer = found < box
    np.copyto(box, found, where=nearer)
    np.copyto(moment[top:bottom, left:right], begun + along * lasting, where=nearer, casting="same_kind")
