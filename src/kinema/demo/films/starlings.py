"""Rehearsal for Starlings: particles. Nine thousand birds fold themselves through the last light.

No bird is simulated. Each has a fixed place in a cloud, and the cloud is folded again and again by slow waves; where folds
overlap, the flock is dense. So any frame can be painted without those before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink
from kinema.demo.paint import Array, clouds, grid, ramp, rgb, smooth, span, splat, vignette

_BIRDS = 9000


class _Flock:
    def __init__(self, stage: Stage, birds: int = _BIRDS) -> None:
        rng = stage.rng("flock")
        home = rng.standard_normal((3, birds))
        home /= np.linalg.norm(home, axis=0) / rng.random(birds) ** 0.45
        self.home = home.astype(np.float32)
        self.late = rng.random(birds, dtype=np.float32)
        self.wave = rng.normal(0, 1.35, (4, 3, 3)).astype(np.float32)
        self.turn = rng.uniform(0, 6.3, (4, 3)).astype(np.float32)
        self.pace = rng.uniform(0.25, 0.6, (4, 3)).astype(np.float32)
        self.perch = np.stack([rng.uniform(-1.1, 1.1, birds), 0.262 + rng.choice([0, 0.021, 0.043], birds)]).astype(
            np.float32
        )

    def at(self, t: float, length: float) -> tuple[Array, Array, Array]:
        """Where the birds are: (y, x) in picture heights from the centre, and how near each is (about 1)."""
        q = self.home.copy()
        unrest = 0.15 + 0.24 * span(t, length * 0.12, length * 0.5) - 0.08 * span(t, length * 0.7, length * 0.9)
        for fold in range(4):
            phase = self.wave[fold] @ q + (self.turn[fold] + self.pace[fold] * np.float32(t))[:, None]
            q += np.float32(unrest) * np.sin(phase)
        around = 0.32 * t
        c, s = np.float32(np.cos(around)), np.float32(np.sin(around))
        x, z = q[0] * c - q[2] * s, q[0] * s + q[2] * c
        near = 1 / (2.6 + z)
        centre_x = 0.34 * np.sin(t * 0.33 + 0.6) + 0.10 * np.sin(t * 0.81)
        centre_y = -0.10 + 0.07 * np.sin(t * 0.52 + 1)
        # They come in over the left edge, one after another, and settle on the wires at the end.
        coming = np.clip((t - 0.5 - self.late * 4.5) / 4.0, 0, 1)
        coming = coming * coming * (3 - 2 * coming)
        px = x * near * 0.62 + np.float32(centre_x) - (1 - coming) * (1.5 + 0.6 * self.late)
        py = q[1] * near * 0.44 + np.float32(centre_y) - (1 - coming) * 0.12
        home = np.clip((t - length * 0.76 - self.late * length * 0.12) / 2.6, 0, 1)
        home = home * home * (3 - 2 * home)
        px += (self.perch[0] - px) * home
        py += (self.perch[1] - 0.03 * np.cos(self.perch[0] * 1.4) - py) * home
        return py.astype(np.float32), px.astype(np.float32), (near * 2.6).astype(np.float32)


class _Evening:
    """Sky, wires and fields. Two skies are mixed as the light goes."""

    def __init__(self, stage: Stage) -> None:
        height, width = stage.height, stage.width
        y, x = grid(height, width)
        cloud = clouds(height, width, stage.rng("sky"), 1.75)
        streaks = smooth(
            np.roll(cloud, 40, 0) * 0.6 + clouds(height, width, stage.rng("streaks"), 1.4, 3) * 0.4, 0.45, 0.72
        )
        low = np.exp(-((y - 0.30) ** 2) / 0.03)
        depth = np.clip(y + 0.5 + (cloud - 0.5) * 0.10, 0, 1)
        self.skies = []
        for stops, lit in (
            ([(0, "#4c6f9c"), (0.35, "#a88fa8"), (0.62, "#f0a077"), (0.80, "#ffd08a"), (1, "#ffe3ad")], "#ffdcb8"),
            ([(0, "#141a3a"), (0.35, "#33285a"), (0.62, "#7a3f63"), (0.80, "#c5634f"), (1, "#e08a52")], "#b0576a"),
        ):
            sky = ramp(stops, 1024)[(depth * 1023).astype(np.int32)]
            sky += (rgb(lit) - sky) * (streaks * (0.25 + 0.35 * low) * smooth(-y, -0.45, 0.2))[..., None]
            sky *= vignette(height, width, 0.25)[..., None]
            self.skies.append(sky.astype(np.float32) * 255)
        self.ground = self._ground(stage, y, x)

    def _ground(self, stage: Stage, y: Array, x: Array) -> Array:
        """How much of the sky is left to see (1: all) behind fields, trees, masts and wires."""
        height = stage.height
        rng = stage.rng("ground")
        angle = np.linspace(0, 12, stage.width)
        line = sum(np.sin(angle * k + rng.uniform(0, 6)) / k**1.1 for k in range(1, 60))
        trees = 0.42 - 0.012 * np.asarray(line, np.float32)
        dark = np.clip((y - trees[None, :]) * height + 0.5, 0, 1)
        for mast in (-0.78, 0.74):
            post = (np.abs(x - mast) < 0.006) & (y > 0.20)
            arm = (np.abs(x - mast) < 0.045) & (np.abs(y - 0.232) < 0.0045)
            dark = np.maximum(dark, (post | arm).astype(np.float32))
        for wire in (0.262, 0.283, 0.305):
            sag = wire - 0.03 * np.cos(x * 1.4)
            dark = np.maximum(dark, np.clip(1.1 - np.abs(y - sag) * height / 0.8, 0, 1) * 0.8)
        return np.asarray(1 - 0.93 * dark, np.float32)

    def paint(self, dusk: float) -> Picture:
        mixed = self.skies[0] + (self.skies[1] - self.skies[0]) * np.float32(dusk)
        return np.asarray(mixed * self.ground[..., None], np.float32)


def _birds(stage: Stage, flock: _Flock, t: float, length: float) -> Array:
    """How much of the light the birds let through, for each pixel. Each is a short stroke along its flight."""
    shade = np.zeros((stage.height, stage.width), np.float32)
    y, x, near = flock.at(t, length)
    before_y, before_x, _ = flock.at(t - 0.035, length)
    unit = stage.height / 720
    for share in (0.0, 0.5, 1.0):
        py, px = y + (before_y - y) * share, x + (before_x - x) * share
        splat(
            shade,
            (py + 0.5) * stage.height,
            px * stage.height + stage.width / 2,
            near * np.float32(0.50 * max(unit, 0.6)),
        )
    return np.exp(-1.15 * np.minimum(shade, 2.2))


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    flock, evening = _Flock(stage), _Evening(stage)
    backdrop, painted = evening.paint(0.0), 0
    for index in range(stage.count):
        t = index / stage.fps
        if index - painted >= 3:  # the light changes slower than the birds
            backdrop, painted = evening.paint(span(t, 0, stage.seconds)), index
        shade = np.float32(span(t, 0, 1.5) * (1 - span(t, stage.seconds - 2.2, stage.seconds - 0.2)))
        light = _birds(stage, flock, t, stage.seconds) * shade
        yield (backdrop * light[..., None]).astype(np.uint8)


def score(stage: Stage) -> Sound:
    """Strings for the light, noise for eighteen thousand wings, louder when the flock turns towards us."""
    tape = sound.Tape(stage.seconds)
    length = stage.seconds
    rng = stage.rng("score")
    chords = (
        (40, 52, 59, 64, 67),
        (36, 48, 55, 64, 67),
        (45, 52, 57, 60, 64),
        (38, 50, 57, 62, 66),
        (40, 52, 59, 64, 68),
    )
    part = length / len(chords)
    for index, chord in enumerate(chords):
        tape.lay(
            sound.pad(chord, part + 5, 2.6, 4.5, (1, 0.6, 0.42, 0.3, 0.2, 0.14, 0.1, 0.07)), index * part - 0.5, 0.5
        )
    line = ((2.5, 71), (6.0, 76), (9.0, 74), (12.0, 79), (15.0, 76), (18.5, 83), (21.5, 79), (25.0, 76), (28.5, 80))
    for at, note in line:
        if at < length - 3:
            tape.lay(sound.pad((note,), 4.2, 1.1, 2.2, sound.PURE), at, 0.17, -0.25)
    tape.hall(2.8, 0.5)
    wings = sound.hiss(length, rng, 700, 4200, 0.6)
    t = sound.seconds(length)
    swell = 0.35 + 0.3 * np.sin(t * 0.85 + 1) + 0.25 * np.sin(t * 1.7 + 2)
    present = sound.follow(length, [(0, 0), (2, 0.1), (6, 0.9), (length * 0.75, 1), (length * 0.93, 0.1), (length, 0)])
    flutter = 0.75 + 0.25 * np.sin(2 * np.pi * 11 * t + 3 * np.sin(t))
    tape.lay((wings * np.maximum(swell, 0.05) * present * flutter).astype(np.float32), 0, 0.016)
    return tape.master(0.11, 1.2, 2.5)


def still(stage: Stage) -> Picture:
    """The flock in mid-film, with more birds, since here nobody has to wait for them."""
    small = Stage(stage.width, stage.height, stage.fps, 34.0, stage.seed)
    backdrop = _Evening(small).paint(0.42)
    flock = _Flock(small, 16_000)
    t = 17.4
    squeeze = 0.62 if stage.height > stage.width else 1.0
    y, x, near = flock.at(t, 34.0)
    shade = np.zeros((stage.height, stage.width), np.float32)
    unit = stage.height / 720
    for offset in (-0.5, 0.5):
        at_y = (y * 1.15 * squeeze + 0.5 - 0.02) * stage.height
        at_x = (x - x.mean()) * stage.height * squeeze * 1.15 + stage.width * 0.5 + offset * unit
        splat(shade, at_y, at_x, near * np.float32(0.8))
    return np.asarray(backdrop * np.exp(-1.2 * np.minimum(shade, 2.2))[..., None] / 255, np.float32)


FILM = Film(
    slug="starlings",
    title="Rehearsal for Starlings",
    synopsis=(
        "Nine thousand birds practise a dance that none of them has ever seen from outside. There is no director, no "
        "audience and no mistake. When it is too dark to see each other they take their seats on the telephone wires."
    ),
    year=2024,
    genres=("Nature", "Dance"),
    credits=(
        Credit("Cast", "9,000 starlings"),
        Credit("Choreography", "Four folded sines"),
        Credit("Wires", "The telephone company"),
    ),
    seed=9001,
    seconds=34,
    frames=frames,
    score=score,
    still=still,
    fps=25,
    quality=17,
    lettering=Title(
        "Rehearsal\nfor\nStarlings", poster_y=0.76, poster_height=0.06, shade=0.25, ink=Ink(0.09, 0.32, 1.6)
    ),
    cues=(Cue("Rehearsal for Starlings", 0.8, 5.4, height=0.058, ink=Ink(0.08, 0.42), y=0.2),),
)
