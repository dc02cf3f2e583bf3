"""Fifteen Bells, One Appointment: geometry in full HD. Pendulums that leave together, disagree, and meet again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink
from kinema.demo.paint import Array, grid, ramp, rgb, span, vignette

_COUNT = 15
_START = 4.0
_COLOURS = ramp([(0, "#ffd7a0"), (0.3, "#ff8f6b"), (0.55, "#e0567f"), (0.8, "#8a5bd0"), (1, "#4f8be0")], _COUNT)
# The longest pendulum rings the lowest note: a pentatonic scale, so that no two of them can quarrel.
_NOTES = tuple(50 + 12 * (index // 5) + (0, 2, 4, 7, 9)[index % 5] for index in range(_COUNT))


def _swings() -> Array:
    """Full swings of each pendulum during the meeting, a whole number, so that all of them return at its end."""
    return np.arange(_COUNT, dtype=np.float32) + 9


def _meeting(stage: Stage) -> float:
    return stage.seconds - _START - 3.5


def _angles(stage: Stage, t: float) -> Array:
    """Deflection of each pendulum from -1 to 1."""
    u = min(1.0, max(0.0, (t - _START) / _meeting(stage)))
    swing = np.cos(2 * np.pi * _swings() * u)
    out: Array = (swing * span(t, 1.2, _START)).astype(np.float32)
    return out


class _Dial:
    """Draws lamps on arcs around one centre; only the small boxes around the lamps are touched in each frame."""

    def __init__(self, stage: Stage, upright: bool = False) -> None:
        height, width = stage.height, stage.width
        y, x = grid(height, width)
        self.height, self.width = height, width
        self.centre = (-0.50, 0.0) if upright else (-0.47, 0.0)
        self.radii = np.linspace(0.90, 0.33, _COUNT) if upright else np.linspace(0.90, 0.27, _COUNT)
        self.reach = 0.40 if upright else 0.92
        distance = np.hypot(y - self.centre[0], x - self.centre[1])
        back = ramp([(0, "#0d0b1c"), (0.5, "#171232"), (1, "#251436")], 512)
        self.back = back[np.clip((y + 0.5) * 511 + x * 0, 0, 511).astype(np.int32)]
        self.back = self.back * vignette(height, width, 0.45)[..., None]
        angle = np.abs(np.arctan2(x - self.centre[1], y - self.centre[0]))
        for index, radius in enumerate(self.radii):
            line = np.clip(1.2 - np.abs(distance - radius) * height / 0.8, 0, 1) * (angle < self.reach * 1.02)
            self.back = self.back + line[..., None] * (_COLOURS[index] * 0.13)
        self.back = self.back.astype(np.float32)

    def places(self, angles: Array) -> list[tuple[float, float]]:
        return [
            (self.centre[0] + r * float(np.cos(a * self.reach)), self.centre[1] + r * float(np.sin(a * self.reach)))
            for r, a in zip(self.radii, angles, strict=True)
        ]

    def lamp(
        self, picture: Picture, y: float, x: float, colour: Array, size: float, flash: float, white: float = 0.25
    ) -> None:
        """One glowing disc, added to the picture in place; sizes in picture heights."""
        h, w = self.height, self.width
        reach = size * ((4.2 if white else 2.4) + 3.5 * flash)
        top, bottom = max(0, int((y - reach + 0.5) * h)), min(h, int((y + reach + 0.5) * h) + 1)
        left, right = max(0, int((x - reach) * h + w / 2)), min(w, int((x + reach) * h + w / 2) + 1)
        if top >= bottom or left >= right:
            return
        dy = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5) / h - 0.5 - np.float32(y)
        dx = (np.arange(left, right, dtype=np.float32)[None, :] + 0.5 - w / 2) / h - np.float32(x)
        square = dy * dy + dx * dx
        far = np.maximum(0, 1 - square / reach**2)
        glow = far**3 * np.float32(0.28 + 0.55 * flash)
        disc = np.clip((size - np.sqrt(square)) * h + 0.5, 0, 1)
        box = picture[top:bottom, left:right]
        box += glow[..., None] * colour
        box += (colour + (1 - colour) * np.float32(white + 0.6 * flash) - box) * disc[..., None]

    def paint(self, angles: Array, flashes: Array, trail: list[Array] | None = None) -> Picture:
        picture: Picture = self.back.copy()
        for age, old in enumerate(reversed(trail or []), 1):
            for index, (y, x) in enumerate(self.places(old)):
                self.lamp(picture, y, x, _COLOURS[index] * np.float32(0.75**age), 0.011 * 0.9**age, 0.0, 0.0)
        for index, (y, x) in enumerate(self.places(angles)):
            self.lamp(picture, y, x, _COLOURS[index], 0.0125, float(flashes[index]))
        return picture


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    dial = _Dial(stage)
    per_second = _swings() / _meeting(stage)
    for index in range(stage.count):
        t = index / stage.fps
        u = min(max(0.0, t - _START), _meeting(stage))
        phase = (u * per_second) % 1.0
        flashes = np.exp(-phase / per_second * 5) * (t >= _START)
        trail = [_angles(stage, t - back / 30) for back in range(6, 0, -1)]
        shade = np.float32(span(t, 0, 1.5) * (1 - span(t, stage.seconds - 2, stage.seconds - 0.2)))
        picture = dial.paint(_angles(stage, t), flashes, trail)
        picture *= 255 * shade
        yield np.minimum(picture, 255, out=picture).astype(np.uint8)


def score(stage: Stage) -> Sound:
    """Each pendulum rings whenever it is back on the right."""
    tape = sound.Tape(stage.seconds)
    meeting = _meeting(stage)
    for index, swings in enumerate(_swings()):
        for ring in range(int(swings) + 1):
            at = _START + meeting * ring / float(swings)
            tape.lay(sound.bell(_NOTES[index], 3.4, 0.7), at, 0.13, -0.8 + 1.6 * index / (_COUNT - 1))
    tape.lay(sound.pad((38, 45, 50, 57), stage.seconds, 5, 5), 0, 0.34)
    tape.lay(sound.pad((62, 66, 69), meeting * 0.5, 6, 6, sound.PURE), _START + meeting * 0.3, 0.16)
    tape.hall(3.0, 0.42)
    return tape.master(0.11, 1.0, 2.5)


def still(stage: Stage) -> Picture:
    """The picture for poster and billboard."""
    upright = stage.height > stage.width
    moment = _START + _meeting(stage) * 0.064
    short = Stage(stage.width, stage.height, 30, 45.0, stage.seed)
    dial = _Dial(stage, upright)
    trail = [_angles(short, moment - back / 24) for back in range(9, 0, -1)]
    picture = dial.paint(_angles(short, moment), np.linspace(0.5, 0.0, _COUNT), trail)
    return np.maximum(picture, rgb("#0d0b1c"))


FILM = Film(
    slug="fifteen-bells",
    title="Fifteen Bells, One Appointment",
    synopsis=(
        "Fifteen bells leave at the same moment, and each keeps its own time. What follows looks like a quarrel, then like "
        "a dance, then like two dances. Everybody has agreed when to be back, and nobody is late."
    ),
    year=2026,
    genres=("Music", "Geometry"),
    credits=(Credit("Bells", "Fifteen, in D"), Credit("Timekeeping", "9 to 23 swings each")),
    seed=15,
    seconds=45,
    frames=frames,
    score=score,
    still=still,
    size=(1920, 1080),
    raster=(1920, 1080),
    fps=30,
    quality=16,
    preset="superfast",
    lettering=Title("Fifteen\nBells", poster_y=0.14, poster_height=0.058, ink=Ink(0.075, 0.36), shade=0.2),
    cues=(Cue("Fifteen Bells,\nOne Appointment", 0.7, 4.6, height=0.052, ink=Ink(0.07, 0.4), y=0.16, writing=1.8),),
)
