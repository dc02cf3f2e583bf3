"""Nobody Up Yet: smooth gradients. A valley from the last star to the first lit window; the quickest film to render."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink
from kinema.demo.paint import Array, clouds, grid, oklab, rgb, smooth, span, srgb

# Sky colours from the zenith to the horizon, one row for each moment (0 to 1) of the film.
_SKIES = (
    (0.00, ("#0b1030", "#182050", "#2b2f66", "#54487a", "#7d5f80")),
    (0.35, ("#1b2a5c", "#3a4a86", "#7d6a9c", "#c98a8f", "#f0a579")),
    (0.62, ("#3f6aa6", "#7d9cc4", "#c9b4bd", "#f6c49a", "#ffdc9c")),
    (1.00, ("#5f9bd0", "#93bfe0", "#c9dce6", "#f3e3cf", "#fdeccb")),
)
_RIDGES = 4


def _ridge(stage: Stage, layer: int) -> Array:
    """The outline of one range of hills, as height below the picture's centre for each column of a strip twice as wide."""
    rng = stage.rng(f"ridge {layer}")
    x = np.linspace(0, 2 * np.pi, stage.width * 2, endpoint=False)
    line = sum(
        rng.normal() / (k ** (1.35 - 0.09 * layer)) * np.sin(k * x + rng.uniform(0, 6.3))
        for k in range(1, 14 + 6 * layer)
    )
    line = np.asarray(line, np.float32)
    line /= np.abs(line).max()
    return np.asarray(0.06 + 0.105 * layer - line * (0.085 - 0.012 * layer), np.float32)


class _Valley:
    """Everything that does not change from frame to frame."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.y, self.x = grid(stage.height, stage.width)
        self.ridges = [_ridge(stage, layer) for layer in range(_RIDGES)]
        self.cloud = clouds(stage.height, stage.width * 2, stage.rng("cloud"), 1.7)
        self.cloud = smooth(self.cloud, 0.42, 0.8) * smooth(-self.y, -0.12, 0.5)
        rng = stage.rng("stars")
        self.stars = np.zeros((stage.height, stage.width), np.float32)
        count = 90
        rows, columns = rng.integers(0, int(stage.height * 0.5), count), rng.integers(0, stage.width, count)
        self.stars[rows, columns] = rng.random(count, dtype=np.float32) ** 2
        labs = np.array([oklab([rgb(colour) for colour in row]) for _, row in _SKIES])
        self._skies = labs
        self._moments = [moment for moment, _ in _SKIES]

    def sky(self, moment: float) -> Array:
        """The sky's colours from top to bottom, 3 x rows."""
        index = min(len(self._moments) - 2, int(np.searchsorted(self._moments, moment, "right")) - 1)
        low, high = self._moments[index], self._moments[index + 1]
        stops = self._skies[index] + (self._skies[index + 1] - self._skies[index]) * ((moment - low) / (high - low))
        down = np.clip(np.linspace(0, 1.35, self.stage.height), 0, 1) ** 1.1 * 4
        return srgb(np.stack([np.interp(down, range(5), stops[:, channel]) for channel in range(3)], axis=1)).T

    def paint(self, moment: float, drift: float) -> Array:
        """The valley at a moment from 0 (night) to 1 (morning), as three planes."""
        sky = self.sky(moment)
        planes = np.repeat(sky[:, :, None], self.stage.width, axis=2)
        self._clouds(planes, moment, drift)
        self._sun(planes, moment)
        haze = sky[:, int(self.stage.height * 0.62)]
        near = _between("#0a1226", "#20384a", moment)
        for layer in range(_RIDGES):
            self._hills(planes, layer, drift, haze, near)
        self._window(planes, moment)
        return planes

    def _clouds(self, planes: Array, moment: float, drift: float) -> None:
        shift = int(drift * self.stage.width * 0.4)
        rows = int(self.stage.height * 0.62)
        part = self.cloud[:rows, shift : shift + self.stage.width] * np.float32(0.25 + 0.4 * moment)
        for plane, lit in zip(planes[:, :rows], _between("#3a3a6e", "#ffe9dc", moment), strict=True):
            _mix(plane, lit, part)
        if moment < 0.45:
            planes[:, :rows] += self.stars[:rows] * np.float32(1 - span(moment, 0.0, 0.45))

    def _sun(self, planes: Array, moment: float) -> None:
        dx, dy = self.x - np.float32(0.23), self.y - np.float32(0.24 - 0.42 * moment**1.15)
        strength = span(moment, 0.02, 0.45) * (1 - 0.35 * span(moment, 0.45, 0.9))
        wide = (np.exp(-(dx * dx) / 0.5) * (0.30 * strength)) * np.exp(-(dy * dy) / 0.07)
        close = (np.exp(-(dx * dx) / 0.02) * (0.34 * strength)) * np.exp(-(dy * dy) / 0.02)
        disc = np.clip((0.066 - np.sqrt(dx * dx + dy * dy)) * 125, 0, 1) * np.float32(span(moment, 0.05, 0.3))
        for plane, far, near, face in zip(planes, (1.0, 0.55, 0.25), (1.0, 0.75, 0.4), (1.0, 0.955, 0.82), strict=True):
            np.add(plane, wide * np.float32(far) + close * np.float32(near), out=plane)
            _mix(plane, face, disc)

    def _hills(self, planes: Array, layer: int, drift: float, haze: Array, near: Array) -> None:
        depth = (layer + 0.6) / (_RIDGES - 0.4)
        shift = drift * self.stage.width * (0.05 + 0.11 * layer)
        whole, part = int(shift), np.float32(shift - int(shift))
        strip = self.ridges[layer]
        outline = (
            strip[whole : whole + self.stage.width] * (1 - part)
            + strip[whole + 1 : whole + 1 + self.stage.width] * part
        )
        top = max(0, int((float(outline.min()) + 0.5) * self.stage.height) - 1)
        # Rows below the lowest point of the next range will be painted over by it.
        lowest = float(self.ridges[layer + 1].max()) if layer + 1 < _RIDGES else 0.5
        end = min(self.stage.height, int((lowest + 0.5) * self.stage.height) + 2)
        below = self.y[top:end] - outline
        cover = np.clip(below * self.stage.height + 0.5, 0, 1)
        fog = (1 - np.exp(np.minimum(-below, 0) * (5.0 + 2.5 * layer)) * (1 - 0.45 * depth)) * (0.95 - 0.62 * depth)
        for plane, far, close in zip(planes[:, top:end], haze, near, strict=True):
            body = far * (1 - depth) + close * depth
            _mix(plane, np.float32(body) + fog * np.float32(far - body), cover)

    def _window(self, planes: Array, moment: float) -> None:
        """Somebody is up after all."""
        lit = span(moment, 0.715, 0.745)
        if lit:
            dx, dy = self.x + 0.42, self.y - 0.315
            glow = np.exp(-(dx * dx + dy * dy) / 0.0022) * 0.5 + np.exp(-(dx**4 + dy**4) / 1.2e-9)
            glow = np.minimum(glow * lit, 1)
            for plane, colour in zip(planes, (1.0, 0.78, 0.38), strict=True):
                _mix(plane, colour, glow)


def _mix(plane: Array, colour: Array | float, amount: Array) -> None:
    """Move a plane towards a colour in place, by as much as `amount` says."""
    difference = np.subtract(np.float32(colour) if isinstance(colour, float) else colour, plane)
    difference *= amount
    plane += difference


def _between(night: str, morning: str, moment: float) -> Array:
    return srgb(oklab(rgb(night)) * (1 - moment) + oklab(rgb(morning)) * moment)


def frames(stage: Stage) -> Iterator[Frame]:
    """Planes in ffmpeg's order: green, blue, red."""
    valley = _Valley(stage)
    for index in range(stage.count):
        t = index / max(1, stage.count - 1)
        planes = valley.paint(0.85 * t**1.05, t * 0.55)
        open_close = span(t, -0.02, 0.06) * (1 - span(t, 0.955, 1.0))
        np.clip(planes, 0, 1, out=planes)
        planes *= np.float32(65535 * open_close)
        yield planes[[1, 2, 0]].astype(np.uint16)


def score(stage: Stage) -> Sound:
    """Two chords for night and morning, a bell for each star that goes out, birds, and a kettle."""
    tape = sound.Tape(stage.seconds)
    end = stage.seconds
    rng = stage.rng("score")
    tape.lay(sound.pad((38, 50, 57, 64), end * 0.62, 1.5, 5), 0, 0.8)
    tape.lay(sound.pad((43, 55, 59, 62, 69), end * 0.6, 5, 3), end * 0.4, 0.8)
    melody = (74, 69, 66, 76, 74, 71, 78, 74, 81)
    for index, note in enumerate(melody):
        tape.lay(sound.bell(note, 3.5), end * (0.12 + 0.085 * index), 0.16, -0.5 + index / 8)
    for index in range(7):
        at = end * (0.55 + 0.055 * index) + float(rng.uniform(0, 0.4))
        tape.lay(_bird(rng), at, 0.045, float(rng.uniform(-0.9, 0.9)))
    tape.hall(2.4, 0.45)
    return tape.master()


def _bird(rng: np.random.Generator) -> Sound:
    """Three or four short notes that slide, at about 3 kHz."""
    out = np.zeros(0, np.float32)
    for _ in range(int(rng.integers(2, 5))):
        length = float(rng.uniform(0.06, 0.13))
        t = sound.seconds(length)
        sweep = np.cumsum(rng.uniform(2600, 3600) + rng.uniform(-900, 900) * np.sin(np.pi * t / length)) / sound.RATE
        note = np.sin(2 * np.pi * sweep) * sound.envelope(length, 0.02, 0.04)
        out = np.concatenate([out, note.astype(np.float32), np.zeros(round(sound.RATE * 0.05), np.float32)])
    return out


def still(stage: Stage) -> Picture:
    """The picture for poster and billboard."""
    return np.ascontiguousarray(np.moveaxis(_Valley(stage).paint(0.5, 0.2), 0, 2))


FILM = Film(
    slug="nobody-up-yet",
    title="Nobody Up Yet",
    synopsis=(
        "The sun comes up over a valley, as it has been known to do. For the length of this film nobody needs anything "
        "from you. Stay for the last shot, in which somebody wants tea."
    ),
    year=2026,
    genres=("Slow", "Landscape"),
    credits=(Credit("Light", "The sun"), Credit("Hills", "Four sums of sines"), Credit("Tea", "Window, lower left")),
    seed=1106,
    seconds=20,
    frames=frames,
    score=score,
    still=still,
    raster=(320, 180),
    pixels="gbrp16le",
    preset="ultrafast",
    scaler="bilinear",
    quality=20,
    lettering=Title("Nobody\nUp Yet", poster_y=0.2, ink=Ink(0.075, 0.34), shade=0.12),
    cues=(Cue("Nobody Up Yet", 1.0, 5.6, y=0.4, height=0.075, ink=Ink(0.07, 0.42)),),
)
