"""Weather for Beginners: flow fields in full HD. Two fronts, drawn in ink on a chart by sixty thousand drifting points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink
from kinema.demo.paint import Array, clouds, rgb, sample, span, splat

_POINTS = 26_000
"""Points of each front, on a full stage."""


class _Wind:
    """Two fields of flow without sources or sinks (the curl of noise), and storms that turn things around them."""

    def __init__(self, stage: Stage) -> None:
        self.length = stage.seconds
        size = 256
        self.size = size
        self.flows = []
        for name in ("calm", "gust"):
            height = clouds(size, size, stage.rng(name), 2.3 if name == "calm" else 1.8, 1.0 if name == "calm" else 2.0)
            height = (height - 0.5) * (8.0 if name == "calm" else 3.2)
            along_y = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * size / 2
            along_x = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * size / 2
            self.flows.append((-along_x / 6, along_y / 6))

    def force(self, t: float) -> float:
        """How strong the weather is, from 0 to 1, over the film."""
        u = t / self.length
        return 0.10 + 0.45 * span(u, 0.15, 0.38) + 0.45 * span(u, 0.42, 0.60) - 0.93 * span(u, 0.70, 0.90)

    def storms(self, t: float) -> list[tuple[float, float, float]]:
        """Centres (y, x, in picture heights from the middle) and strengths of the storms."""
        u = t / self.length
        strength = span(u, 0.36, 0.55) * (1 - span(u, 0.72, 0.86))
        swing = 2 * np.pi * u * 1.3
        return [
            (0.05 + 0.14 * float(np.sin(swing)), -0.42 + 0.16 * float(np.cos(swing)), strength),
            (-0.06 + 0.10 * float(np.cos(swing * 0.8)), 0.46 - 0.12 * float(np.sin(swing)), -0.8 * strength),
        ]

    def at(self, y: Array, x: Array, t: float) -> tuple[Array, Array]:
        """Velocity in picture heights a second."""
        force = self.force(t)
        drift = np.float32(t * 5)
        sy, sx = (y * 0.42 + 0.5) * self.size, (x * 0.42 + 0.5) * self.size + drift
        calm = [sample(part, sy, sx) for part in self.flows[0]]
        gust = [sample(part, sy * 2.1 + drift, sx * 2.1) for part in self.flows[1]]
        vy = calm[0] * np.float32(0.16 + 0.2 * force) + gust[0] * np.float32(0.34 * force * force)
        vx = calm[1] * np.float32(0.16 + 0.2 * force) + gust[1] * np.float32(0.34 * force * force)
        vx += np.float32(0.05 + 0.10 * force)
        for cy, cx, strength in self.storms(t):
            dy, dx = y - np.float32(cy), x - np.float32(cx)
            square = dy * dy + dx * dx
            turn = np.float32(0.30 * strength) / (square + np.float32(0.018)) * np.exp(-square * 6)
            vy += turn * dx - np.float32(abs(strength) * 0.28) * dy * np.exp(-square * 5)
            vx += -turn * dy - np.float32(abs(strength) * 0.28) * dx * np.exp(-square * 5)
        return vy.astype(np.float32), vx.astype(np.float32)


class _Front:
    """Points that drift, draw and are now and then put down somewhere else."""

    def __init__(self, stage: Stage, name: str, points: int) -> None:
        self.rng = stage.rng(name)
        self.wide = stage.width / stage.height / 2 + 0.05
        self.y = self.rng.uniform(-0.55, 0.55, points).astype(np.float32)
        self.x = self.rng.uniform(-self.wide, self.wide, points).astype(np.float32)
        self.warm = name == "warm"
        self._split = 0.0
        self.ink = np.zeros((stage.height, stage.width), np.float32)

    def drift(self, wind: _Wind, t: float, step: float, strength: float) -> None:
        vy, vx = wind.at(self.y, self.x, t + (7.0 if self.warm else 0.0) * 0.02)
        self.y += vy * np.float32(step)
        self.x += vx * np.float32(step)
        lost = (np.abs(self.y) > 0.56) | (np.abs(self.x) > self.wide) | (self.rng.random(len(self.y)) < 0.006)
        count = int(lost.sum())
        self.y[lost] = self.rng.uniform(-0.55, 0.55, count)
        # The warm front comes from the lower left, the cold one from the upper right.
        side = self.rng.uniform(-self.wide, self.wide, count)
        lean = np.where(self.rng.random(count) < 0.6, (0.7 if self.warm else -0.7) * self.y[lost], 0)
        self.x[lost] = np.clip(side - self.wide * 0.35 * (1 if self.warm else -1) - lean, -self.wide, self.wide)
        height, width = self.ink.shape
        splat(self.ink, (self.y + 0.5) * height, self.x * height + width / 2, strength)


class _Chart:
    """Paper and two inks that darken it; a look-up by the amounts of both gives the colour."""

    def __init__(self, stage: Stage) -> None:
        paper, cold, warm = rgb("#f3ead6"), rgb("#1d3f72"), rgb("#c8452f")
        steps = np.linspace(0, 1, 128, dtype=np.float32)
        dye = 1 - np.exp(-3.6 * steps**1.15)
        through_cold = 1 + (cold / paper - 1) * dye[:, None]
        through_warm = 1 + (warm / paper - 1) * dye[:, None]
        self.lut = (
            np.clip(paper * through_cold[:, None, :] * through_warm[None, :, :] * 255, 0, 255)
            .astype(np.uint8)
            .reshape(-1, 3)
        )
        rng = stage.rng("paper")
        self.tooth = (clouds(stage.height, stage.width, rng, 0.5, 8) - 0.5) * 0.06 + 0.03
        self._grid(stage)

    def _grid(self, stage: Stage) -> None:
        """Meridians and parallels, printed before the weather came."""
        height, width = stage.height, stage.width
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 1.9
        x = (np.arange(width, dtype=np.float32)[None, :] + 0.5 - width / 2) / height
        radius, angle = np.hypot(y, x), np.arctan2(x, -y)
        for field, every, scale in ((radius, 0.2, 1.0), (angle, 0.13, radius)):
            near = np.abs((field / every + 0.5) % 1 - 0.5) * every * scale
            self.tooth += 0.055 * np.clip(1.1 - near * height / 0.9, 0, 1)

    def paint(self, cold: Array, warm: Array, white: float) -> Frame:
        """`white` bleaches everything to bare paper (1)."""
        a = np.minimum(cold + self.tooth, 1) * np.float32(127 * (1 - white))
        b = np.minimum(warm, 1) * np.float32(127 * (1 - white))
        index = a.astype(np.int32) * 128 + b.astype(np.int32)
        chart: Frame = self.lut[index]
        return chart


def _points(stage: Stage) -> int:
    return max(300, round(_POINTS * stage.width * stage.height / (1920 * 1080)))


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    wind, chart = _Wind(stage), _Chart(stage)
    fronts = [_Front(stage, name, _points(stage)) for name in ("cold", "warm")]
    for index in range(stage.count):
        t = index / stage.fps
        for front in fronts:
            front.ink *= np.float32(0.962)
            for part in (0.0, 0.5):
                front.drift(wind, t + part / stage.fps, 0.5 / stage.fps, 0.042)
        white = max(1 - span(t, 0.0, 3.0), span(t, stage.seconds - 2.5, stage.seconds - 0.3))
        yield chart.paint(fronts[0].ink, fronts[1].ink, white)


def score(stage: Stage) -> Sound:
    """The wind is filtered noise that follows the force of the weather; a marimba gives the forecast."""
    tape = sound.Tape(stage.seconds)
    wind = _Wind(stage)
    length = stage.seconds
    rng = stage.rng("score")
    moments = np.linspace(0, length, 90)
    force = np.array([wind.force(float(t)) for t in moments])
    curve = np.interp(sound.seconds(length), moments, force).astype(np.float32)
    gusts = np.interp(sound.seconds(length), np.linspace(0, length, 60), rng.uniform(0.4, 1, 60)).astype(np.float32)
    at, index = 1.0, 0
    scale = (50, 53, 57, 60, 62, 65, 69, 72, 74, 77)
    while at < length - 2.5:
        strong = wind.force(at)
        note = scale[int((index * 3 + (index // 7) * 2) % 10)] if strong < 0.7 else scale[int(rng.integers(0, 10))]
        tape.lay(sound.pluck(note, 1.3, 0.34), at, 0.26 + 0.1 * float(rng.random()), float(rng.uniform(-0.7, 0.7)))
        if index % 4 == 0:
            tape.lay(sound.pluck(note - 24 if note > 64 else note - 12, 1.8, 0.3), at, 0.3, 0.0)
        at += (0.52 - 0.34 * strong) * (1.0 if index % 3 else 1.5)
        index += 1
    tape.lay(sound.pad((38, 45, 53, 57), length, 4, 5, sound.HOLLOW), 0, 0.42)
    tape.hall(1.8, 0.3)
    for side, pan in ((0, -0.8), (1, 0.8)):
        low = sound.hiss(length, stage.rng(f"wind {side}"), 160, 700, 0.5)
        high = sound.hiss(length, stage.rng(f"whistle {side}"), 900, 1700, 0.3)
        tape.lay(low * curve * gusts, 0, 0.040, pan)
        tape.lay(high * curve**2 * gusts, 0, 0.016, pan)
    return tape.master(0.11, 1.0, 2.5)


def still(stage: Stage) -> Picture:
    """The chart at the height of the storm, after two seconds of drawing."""
    small = Stage(stage.width, stage.height, 24, 38.0, stage.seed)
    wind, chart = _Wind(small), _Chart(small)
    fronts = [_Front(small, name, _points(stage)) for name in ("cold", "warm")]
    begun = 20.0
    for step in range(64):
        for front in fronts:
            front.ink *= np.float32(0.972)
            front.drift(wind, begun + step / 24, 1 / 26, 0.085)
    return np.asarray(chart.paint(fronts[0].ink, fronts[1].ink, 0.0), np.float32) / 255


FILM = Film(
    slug="weather",
    title="Weather for Beginners",
    synopsis=(
        "A cold front in blue, a warm front in red, and a chart that was blank this morning. They meet over the middle, as "
        "forecast. It gets rather loud; then it clears up, as it always has so far."
    ),
    year=2025,
    genres=("Science", "Abstract"),
    credits=(
        Credit("Cold front", "26,000 points"),
        Credit("Warm front", "26,000 points"),
        Credit("Forecast", "Marimba"),
    ),
    seed=1013,
    seconds=38,
    frames=frames,
    score=score,
    still=still,
    size=(1920, 1080),
    raster=(1920, 1080),
    quality=19,
    preset="superfast",
    lettering=Title(
        "Weather\nfor\nBeginners",
        colour="#1d2c4a",
        poster_y=0.17,
        poster_height=0.055,
        shade=-0.75,
        ink=Ink(0.11, 0.32, 1.55),
    ),
    cues=(Cue("Weather for Beginners", 0.5, 4.8, colour="#1d2c4a", height=0.055, ink=Ink(0.10, 0.42)),),
)
