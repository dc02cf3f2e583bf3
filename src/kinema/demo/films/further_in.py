"""Further In: a fractal zoom. Down the seahorse valley of the Mandelbrot set to a copy of the whole, half a million times smaller.

The whole journey is one strip: rows are distances from the goal on a logarithmic scale, columns are directions. Zooming by
a factor is then sliding along the strip, and a frame is one look-up a pixel. So every point of the journey is iterated once,
not once for each of the frames in which it is seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink
from kinema.demo.paint import Array, grid, ramp, span, vignette

# The nucleus of a copy of the set in the seahorse valley: period 39, found by Newton's method. The copy is 2.17e-6 as large
# as the whole, so that a disc of a quarter of that around the nucleus never leaves, and the strip may begin at its edge.
_GOAL = complex(-0.7436423016578859, 0.1318265198125947)
_WIDEST, _NARROWEST = 1.75, 5.0e-7
_LIMIT = 1500
_COLOURS = ramp(
    [
        (0.00, "#07102b"), (0.13, "#123a63"), (0.27, "#2f8f9d"), (0.40, "#f2e6c9"), (0.52, "#f0a04b"),
        (0.66, "#b23a48"), (0.80, "#4a1942"), (0.92, "#160f30"), (1.00, "#07102b"),
    ],
    2048,
)  # fmt: skip


def _escape(points: npt.NDArray[np.complex128]) -> Array:
    """Smooth number of steps that each point takes to leave; 0 for those that stay."""
    out = np.zeros(points.shape, np.float32)
    c, z = points.copy(), np.zeros_like(points)
    where = np.arange(points.size)
    for step in range(1, _LIMIT):
        z *= z
        z += c
        if step % 4 == 0 or step < 16:
            size = z.real * z.real + z.imag * z.imag
            gone = size > 1e4
            if gone.any():
                out[where[gone]] = step + 1 - np.log2(np.log2(size[gone]) / 2)
                stay = ~gone
                c, z, where = c[stay], z[stay], where[stay]
                if not where.size:
                    break
    return out


def _strip(directions: int, widest: float, narrowest: float) -> Frame:
    """The journey, painted: rows from near to far, `directions` columns, as 8-bit RGB."""
    per_e = directions / (2 * np.pi)
    rows = int(np.log(widest / narrowest) * per_e) + 1
    turn = np.exp(2j * np.pi * np.arange(directions) / directions)
    picture = np.zeros((rows, directions, 3), np.uint8)
    for top in range(0, rows, 64):
        radii = narrowest * np.exp(np.arange(top, min(rows, top + 64)) / per_e)
        steps = _escape((_GOAL + radii[:, None] * turn[None, :]).ravel()).reshape(len(radii), directions)
        picture[top : top + 64] = _paint(steps)
    return picture


def _paint(steps: Array) -> Frame:
    """Colours go around once for each doubling of the steps, so that near and far differ by hue, not by noise."""
    turn = np.log2(np.maximum(steps, 1)) * 0.62 + 0.16
    index = (turn * 2048).astype(np.int32) % 2048
    colours = (_COLOURS * 255).astype(np.uint8)[index]
    colours[steps == 0] = (5, 6, 14)
    return colours


def _depth(stage: Stage, t: float) -> float:
    """The radius of the picture at a moment: still, then evenly down, then still again."""
    u = min(1.0, max(0.0, (t - 2.5) / (stage.seconds - 6.5)))
    # Ease in and out over a seventh of the way each; between them the zoom is even.
    edge = 1 / 7
    if u < edge:
        way = u * u / (2 * edge)
    elif u > 1 - edge:
        way = 1 - edge - (1 - u) ** 2 / (2 * edge)
    else:
        way = u - edge / 2
    way /= 1 - edge
    return float(_WIDEST * 0.62 * (_NARROWEST * 12 / (_WIDEST * 0.62)) ** way)


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    directions = max(96, round(stage.width * 1.4))
    per_e = directions / (2 * np.pi)
    strip = _strip(directions, _WIDEST * 1.35, _NARROWEST)
    y, x = grid(stage.height, stage.width)
    radius = np.sqrt(x * x + y * y) * 2
    row = (np.log(np.maximum(radius, 0.6 / stage.height)) * per_e).astype(np.float32)
    column = (np.arctan2(-y, x) / (2 * np.pi) * directions).astype(np.float32)
    dark = vignette(stage.height, stage.width, 0.30)[..., None]
    last = strip.shape[0] - 1
    for index in range(stage.count):
        t = index / stage.fps
        offset = np.log(_depth(stage, t) / _NARROWEST) * per_e
        rotation = 0.11 * np.sin(t * 0.21) * directions
        at = np.clip((row + np.float32(offset)).astype(np.int32), 0, last) * directions
        at += (column + np.float32(rotation)).astype(np.int32) % directions
        shade = np.float32(span(t, 0, 1.8) * (1 - span(t, stage.seconds - 2, stage.seconds - 0.2)))
        yield (strip.reshape(-1, 3)[at] * (dark * shade)).astype(np.uint8)


def score(stage: Stage) -> Sound:
    """A Shepard tone: voices an octave apart that sink for ever, under bells that never get any lower."""
    tape = sound.Tape(stage.seconds)
    length = stage.seconds
    t = sound.seconds(length).astype(np.float32)
    for voice in range(7):
        place = (voice - t / 9.0) % 7.0
        loud = np.exp(-((place - 3.2) ** 2) / 2.2).astype(np.float32)
        bend = (place - 3.0) * 12
        tone = sound.wave(50, length, (1.0, 0.3, 0.12, 0.05), voice * 0.31, bend) * loud
        tape.lay(tone, 0, 0.22, 0.5 * np.sin(voice * 2.1))
    rng = stage.rng("score")
    motif = (62, 69, 74, 77, 76, 69, 65, 72)
    at, index = 2.5, 0
    while at < length - 6:
        tape.lay(
            sound.bell(motif[index % 8] + (12 if index % 5 == 4 else 0), 4.0, 0.6),
            at,
            0.17,
            float(rng.uniform(-0.7, 0.7)),
        )
        at += 1.35
        index += 1
    for note in (50, 57, 62, 66, 69):
        tape.lay(sound.bell(note, 5.5, 0.8), length - 4.6, 0.16, (note - 60) / 14)
    tape.hall(3.2, 0.45)
    return tape.master(0.1, 1.5, 2.5)


def still(stage: Stage) -> Picture:
    """A seahorse, half-way down; two samples a pixel each way."""
    y, x = grid(stage.height * 2, stage.width * 2)
    size = 4.2e-3 if stage.height > stage.width else 3.0e-3
    centre = complex(-0.7440, 0.1311) if stage.height > stage.width else complex(-0.7443, 0.1314)
    picture = np.zeros((stage.height, stage.width, 3), np.float32)
    for top in range(0, stage.height, 60):
        part = slice(2 * top, 2 * min(stage.height, top + 60))
        points = centre + size * (x + 1j * -y[part])
        colours = _paint(_escape(points.ravel().astype(np.complex128)).reshape(points.shape)).astype(np.float32) / 255
        picture[top : top + 60] = colours.reshape(-1, 2, stage.width, 2, 3).mean(axis=(1, 3))
    return picture * vignette(stage.height, stage.width, 0.45)[..., None]


FILM = Film(
    slug="further-in",
    title="Further In",
    synopsis=(
        "One equation of eleven characters, looked at more and more closely. There are seahorses, and then smaller "
        "seahorses. At the very end you will arrive where you set out, half a million times smaller and none the wiser."
    ),
    year=2026,
    genres=("Travel", "Mathematics"),
    credits=(Credit("Landscape", "z -> z*z + c"), Credit("Navigation", "Isaac Newton, by his method")),
    seed=1980,
    seconds=42,
    frames=frames,
    score=score,
    still=still,
    quality=24,
    lettering=Title("Further\nIn", poster_y=0.83, shade=0.6, ink=Ink(0.085, 0.36)),
    cues=(Cue("Further In", 0.6, 4.2, y=0.87, height=0.075, ink=Ink(0.08, 0.5)),),
)
