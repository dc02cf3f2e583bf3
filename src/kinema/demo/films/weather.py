"""Weather for Beginners: flow fields in full HD. Two fronts, drawn in light on a chart by eight thousand drifting points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink
from kinema.demo.paint import Array, blur, clouds, ramp, rgb, sample, span, splat

_POINTS = 4_000
"""Points of each front, on a full stage."""


class _Wind:
    """Two fields of flow without sources or sinks (the curl of noise), and storms that turn things around them."""

    def __init__(self, stage: Stage) -> None:
        self.length = stage.seconds
        size = 256
        self.size = size
        self.flows = []
        for name, slope, low in (("calm", 3.0, 1.0), ("gust", 2.6, 2.0)):
            height = blur(clouds(size, size, stage.rng(name), slope, low), 1.5)
            along_y = np.roll(height, -1, 0) - np.roll(height, 1, 0)
            along_x = np.roll(height, -1, 1) - np.roll(height, 1, 1)
            speed = float(np.hypot(along_y, along_x).mean())
            self.flows.append((-along_x / speed, along_y / speed))

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
        drift = np.float32(t * 3)
        sy, sx = (y * 0.36 + 0.5) * self.size, (x * 0.36 + 0.5) * self.size + drift
        vy, vx = (sample(part, sy, sx) * np.float32(0.050 + 0.045 * force) for part in self.flows[0])
        if force > 0.2:
            gust = np.float32(0.085 * (force - 0.2))
            vy += sample(self.flows[1][0], sy * 1.5 + drift, sx * 1.5) * gust
            vx += sample(self.flows[1][1], sy * 1.5 + drift, sx * 1.5) * gust
        vx += np.float32(0.010 + 0.03 * force)
        for cy, cx, strength in self.storms(t):
            dy, dx = y - np.float32(cy), x - np.float32(cx)
            square = dy * dy + dx * dx
            turn = np.float32(0.085 * strength) / (square + np.float32(0.02)) * np.exp(-square * 5)
            vy += turn * dx - np.float32(abs(strength) * 0.16) * dy * np.exp(-square * 5)
            vx += -turn * dy - np.float32(abs(strength) * 0.16) * dx * np.exp(-square * 5)
        return vy.astype(np.float32), vx.astype(np.float32)


class _Front:
    """Points that drift, draw and are now and then put down somewhere else."""

    def __init__(self, stage: Stage, name: str, points: int) -> None:
        self.rng = stage.rng(name)
        self.wide = stage.width / stage.height / 2 + 0.05
        self.y = np.zeros(points, np.float32)
        self.x = np.zeros(points, np.float32)
        self.warm = name == "warm"
        self._put_down(slice(None))
        self.ink = np.zeros((stage.height, stage.width), np.float32)

    def drift(self, wind: _Wind, t: float, step: float, light: float) -> None:
        """Let all points drift for `step` seconds, drawing closely set dots, and put some of them down elsewhere."""
        vy, vx = wind.at(self.y, self.x, t)
        height, width = self.ink.shape
        parts = max(1, round(height / 180))
        # A longer path on a larger chart gets as much light for each pixel.
        dot = light * height / 324 / parts
        for _ in range(parts):
            self.y += vy * np.float32(step / parts)
            self.x += vx * np.float32(step / parts)
            splat(self.ink, (self.y + 0.5) * height, self.x * height + width / 2, dot)
        lost = (np.abs(self.y) > 0.56) | (np.abs(self.x) > self.wide) | (self.rng.random(len(self.y)) < 0.006)
        self._put_down(lost)

    def _put_down(self, lost: Array | slice) -> None:
        """The warm front comes from the left, the cold one from the right; in the middle they overlap."""
        count = len(self.y[lost])
        self.y[lost] = self.rng.uniform(-0.55, 0.55, count)
        side = np.clip(self.rng.normal(0.42, 0.36, count), -1, 1) * self.wide
        self.x[lost] = -side if self.warm else side


class _Chart:
    """Night, and two lights that add up on it; a look-up by the amounts of both gives the colour."""

    def __init__(self, stage: Stage) -> None:
        night = rgb("#0b1226")
        steps = np.linspace(0, 1, 128, dtype=np.float32)
        cold = ramp([(0, "#000000"), (0.18, "#0f3358"), (0.5, "#3f9fd0"), (0.8, "#b4ecff"), (1, "#ffffff")], 128)
        warm = ramp([(0, "#000000"), (0.18, "#4a1722"), (0.5, "#e0603f"), (0.8, "#ffcf86"), (1, "#ffffff")], 128)
        a, b = cold[:, None, :], warm[None, :, :]
        mixed = 1 - (1 - a) * (1 - b) * (1 - night)
        self.lut = np.clip(mixed * 255, 0, 255).astype(np.uint8).reshape(-1, 3)
        self.curve = ((1 - np.exp(-3.2 * steps)) / (1 - np.exp(-3.2)) * 127).astype(np.int32)
        self.print = np.zeros((stage.height, stage.width), np.float32)
        self._grid(stage)

    def _grid(self, stage: Stage) -> None:
        """Meridians and parallels, printed before the weather came."""
        height, width = stage.height, stage.width
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 1.9
        x = (np.arange(width, dtype=np.float32)[None, :] + 0.5 - width / 2) / height
        radius, angle = np.hypot(y, x), np.arctan2(x, -y)
        for field, every, scale in ((radius, 0.2, 1.0), (angle, 0.13, radius)):
            near = np.abs((field / every + 0.5) % 1 - 0.5) * every * scale
            self.print += 0.030 * np.clip(1.1 - near * height / 0.9, 0, 1)

    def paint(self, cold: Array, warm: Array, dark: float) -> Frame:
        """`dark` dims everything to night (1)."""
        bright = np.float32(127 * (1 - dark))
        a = np.minimum((cold + self.print) * bright, 127).astype(np.int32)
        b = np.minimum(warm * bright, 127).astype(np.int32)
        chart: Frame = self.lut[self.curve[a] * 128 + self.curve[b]]
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
            front.ink *= np.float32(0.978)
            front.drift(wind, t, 1 / stage.fps, 0.17)
        dark = max(1 - span(t, 0.0, 3.0), span(t, stage.seconds - 2.5, stage.seconds - 0.3))
        yield chart.paint(fronts[0].ink, fronts[1].ink, dark)


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
    """The chart at the height of the storm, after five seconds of drawing."""
    small = Stage(stage.width, stage.height, 24, 38.0, stage.seed)
    wind, chart = _Wind(small), _Chart(small)
    fronts = [_Front(small, name, _points(stage)) for name in ("cold", "warm")]
    begun = 17.0
    for step in range(110):
        for front in fronts:
            front.ink *= np.float32(0.982)
            front.drift(wind, begun + step / 24, 1 / 24, 0.16)
    return np.asarray(chart.paint(fronts[0].ink, fronts[1].ink, 0.0), np.float32) / 255


FILM = Film(
    slug="weather",
    title="Weather for Beginners",
    synopsis=(
        "A cold front in blue, a warm front in red, and a chart that was empty this morning. They meet over the middle, as "
        "forecast. It gets rather loud; then it clears up, as it always has so far."
    ),
    year=2025,
    genres=("Science", "Abstract"),
    credits=(
        Credit("Cold front", "4,000 points"),
        Credit("Warm front", "4,000 points"),
        Credit("Forecast", "Marimba"),
    ),
    seed=1013,
    seconds=38,
    frames=frames,
    score=score,
    still=still,
    size=(1920, 1080),
    raster=(1920, 1080),
    quality=26,
    preset="superfast",
    lettering=Title(
        "Weather\nfor\nBeginners",
        colour="#f3ead6",
        poster_y=0.17,
        poster_height=0.055,
        shade=0.8,
        ink=Ink(0.11, 0.32, 1.55),
    ),
    cues=(Cue("Weather for Beginners", 0.5, 4.8, colour="#f3ead6", height=0.055, ink=Ink(0.10, 0.42)),),
)
