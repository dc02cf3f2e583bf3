"""Reel Nine, Found Damp: film grain. A lighthouse at night on a stock that has seen water; nothing is harder to encode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink, letter
from kinema.demo.paint import Array, blur, clouds, grid, ramp, sample, smooth, span, wander

_LEADER = 3.2
"""Seconds of countdown before the picture."""
_HORIZON = 0.13
_TOWER = 0.30
_LAMP = -0.152


class _Coast:
    """What does not move: sky, rock and tower, as brightness; and what the beam and the sea need."""

    def __init__(self, stage: Stage) -> None:
        self.height, self.width = stage.height, stage.width
        self.y, self.x = grid(stage.height, stage.width)
        # On a poster the tower stands a little right of the middle, else at the right third.
        self.tower = _TOWER if stage.width > stage.height else 0.10
        self.moon = (-0.27, -0.42 if stage.width > stage.height else -0.16)
        cloud = clouds(stage.height, stage.width, stage.rng("sky"), 1.9)
        self.cloud = smooth(cloud, 0.38, 0.75)
        distance = np.hypot(self.y - self.moon[0], self.x - self.moon[1])
        sky = (
            0.085
            + 0.10 * np.exp(-((self.y - _HORIZON) ** 2) / 0.05)
            + 0.34 * np.exp(-distance / 0.16) * (0.45 + 0.55 * self.cloud)
        )
        sky += 0.05 * self.cloud
        self.disc = np.clip((0.043 - distance) * stage.height + 0.5, 0, 1)
        sky += (0.80 - sky) * self.disc * (1 - 0.35 * self.cloud)
        rng = stage.rng("stars")
        stars = (rng.random((stage.height, stage.width)) > 0.9994) * rng.random((stage.height, stage.width)) * 0.5
        sky += blur(stars.astype(np.float32), 0.7 * stage.height / 720) * 3 * (1 - self.cloud) * (self.y < 0.05)
        self.sky = sky.astype(np.float32)
        self.solid = self._solid(stage)
        self.waves = clouds(256, 256, stage.rng("waves"), 0.9, 3)
        self.mist = clouds(256, 512, stage.rng("mist"), 1.6)

    def _solid(self, stage: Stage) -> Array:
        """Rock and tower: 1 where they stand."""
        unit = stage.height
        angle = np.linspace(0, 9, stage.width)
        rng = stage.rng("rock")
        rough = sum(np.sin(angle * k + rng.uniform(0, 6)) / k for k in range(2, 50))
        dx = self.x - self.tower
        rock = (
            0.245
            - 0.11 * np.exp(-(dx**2) / 0.03)
            - 0.05 * np.exp(-((dx - 0.22) ** 2) / 0.01)
            + 0.010 * np.asarray(rough, np.float32)
        )
        rock = rock + 0.5 * smooth(np.abs(dx - 0.06), 0.26, 0.52)
        solid = np.clip((self.y - rock) * unit + 0.5, 0, 1)
        half = 0.020 + 0.013 * (self.y - _LAMP) / 0.30
        tower = np.clip((half - np.abs(dx)) * unit + 0.5, 0, 1) * ((self.y > _LAMP + 0.018) & (self.y < 0.16))
        gallery = np.clip((0.029 - np.abs(dx)) * unit + 0.5, 0, 1) * (np.abs(self.y - _LAMP - 0.02) < 0.005)
        roof = np.clip((0.018 - np.abs(dx) * 1.0 + (self.y - _LAMP + 0.018) * 0.9) * unit, 0, 1) * (
            np.abs(self.y - _LAMP + 0.025) < 0.011
        )
        out: Array = np.maximum.reduce([solid, tower, gallery, roof]).astype(np.float32)
        return out

    def paint(self, t: float) -> Array:
        """Brightness (0 to 1) of the scene at a moment."""
        turn = t * 1.05
        towards = np.cos(turn)
        lamp_y, lamp_x = self.y - _LAMP, self.x - self.tower
        far = np.hypot(lamp_y, lamp_x) + 1e-4
        picture = self.sky.copy()
        fog = sample(self.mist, (self.y + 0.5) * 255 + t * 2, (self.x + 1) * 170 + t * 9)
        # The beam: a wedge to the side on which the lamp looks, longest when it looks across.
        side = np.sin(turn)
        sharp = np.maximum(0, lamp_x / far * np.sign(side))
        beam = (
            np.maximum(0, 1 - np.abs(lamp_y) / (0.010 + 0.085 * far))
            * sharp**6
            * np.exp(-far / (0.25 + 1.2 * abs(side)))
        )
        picture += beam * (0.28 + 0.5 * fog) * np.float32(abs(side) ** 0.7)
        flash = max(0.0, towards) ** 24
        picture += np.exp(-far / 0.018) * np.float32(0.55 + 0.6 * abs(side)) + np.exp(-far / 0.22) * np.float32(
            0.75 * flash
        )
        self._sea(picture, t, abs(side), flash)
        picture *= 1 - self.solid * np.float32(0.86 - 0.3 * flash)
        picture += self.solid * (0.018 + 0.14 * np.exp(-far / 0.05) * np.float32(0.4 + flash))
        return picture

    def _sea(self, picture: Array, t: float, side: float, flash: float) -> None:
        top = int((_HORIZON + 0.5) * self.height)
        below = self.y[top:] - _HORIZON + 0.004
        depth = 0.05 / below
        u, v = self.x * depth * 190, depth * 420
        wave = sample(self.waves, v + t * 9, u + t * 5) + sample(self.waves, v * 0.6 - t * 6, u * 0.7 - t * 4) - 1.0
        sea = 0.060 + 0.03 * depth + 0.11 * wave
        path = np.exp(-((self.x - self.moon[1]) ** 2) / (0.004 + 0.16 * below)) * smooth(wave, 0.05, 0.28)
        lamp = np.exp(-((self.x - self.tower) ** 2) / (0.002 + 0.05 * below)) * smooth(wave, 0.0, 0.3)
        sea += path * 0.62 + lamp * np.float32(0.16 + 0.7 * flash + 0.06 * side)
        picture[top:] = sea


class _Stock:
    """The film stock: grain, the lamp's flicker, the gate's weave, damp, scratches, and the mark that calls for the next reel."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        rng = stage.rng("grain")
        size = (stage.height + 128, stage.width + 128)
        unit = stage.height / 720
        self.grain = []
        for _ in range(3):
            noise = rng.standard_normal(size, dtype=np.float32)
            noise = blur(noise, 0.75 * max(unit, 0.7))
            self.grain.append(noise / noise.std())
        self.rng = rng
        count = stage.count + 1
        self.flicker = 1 + 0.03 * wander(count, stage.rng("flicker"), 1) + 0.05 * wander(count, stage.rng("lamp"), 15)
        self.weave = np.round(
            np.stack([wander(count, stage.rng("x"), 5), wander(count, stage.rng("y"), 3)]) * 1.5 * unit
        ).astype(int)
        self.damp = smooth(clouds(stage.height, stage.width, stage.rng("damp"), 1.3, 2), 0.62, 0.70)
        self.damp = self.damp - blur(self.damp, 6 * unit)
        y, x = grid(stage.height, stage.width)
        self.edge = 1 - 0.5 * smooth(np.maximum(np.abs(y) * 2, np.abs(x) * 2 * stage.height / stage.width), 0.80, 1.06)
        self.mark = np.clip(
            (0.018 - np.hypot(y + 0.40, x - stage.width / stage.height / 2 + 0.13)) * stage.height, 0, 1
        )

    def expose(self, picture: Array, index: int, mark: bool) -> Frame:
        height, width = self.stage.height, self.stage.width
        picture = np.roll(picture, (int(self.weave[1, index]), int(self.weave[0, index])), (0, 1))
        picture = picture * (self.edge * np.float32(self.flicker[index]))
        picture += self.damp * np.float32(0.10 * (1 + 0.6 * np.sin(index * 0.19)))
        dy, dx = (int(self.rng.integers(0, 128)) for _ in range(2))
        grain = self.grain[index % 3][dy : dy + height, dx : dx + width]
        # Silver shows most in the middle tones.
        picture += grain * (0.030 + 0.075 * np.sqrt(np.clip(picture, 0, 1)) * np.clip(1.15 - picture, 0, 1))
        if self.rng.random() < 0.35:
            column = int(self.rng.integers(0, width - 1))
            picture[:, column : column + 1] += np.float32(self.rng.choice([-0.2, 0.25]))
        for _ in range(int(self.rng.poisson(1.6))):
            y, x, r = int(self.rng.integers(0, height)), int(self.rng.integers(0, width)), int(self.rng.integers(1, 4))
            picture[y : y + r, x : x + r + 1] += np.float32(self.rng.choice([-0.5, 0.6]))
        if mark:
            picture += (0.95 - picture) * self.mark
        return (np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _leader(stage: Stage, t: float) -> Array:
    """The countdown: a number, two rings, cross hairs, and a hand that wipes grey over it once a second."""
    y, x = grid(stage.height, stage.width)
    unit = stage.height
    number = str(3 - int(min(t, 2.99)))
    turn = (t % 1.0) * 2 * np.pi
    angle = np.arctan2(x, -y) % (2 * np.pi)
    picture = np.where(angle < turn, 0.50, 0.66).astype(np.float32) + 0 * x
    distance = np.hypot(y, x)
    lines = np.zeros_like(picture)
    for radius in (0.30, 0.36):
        lines = np.maximum(lines, np.clip((0.004 - np.abs(distance - radius)) * unit, 0, 1))
    lines = np.maximum(lines, np.clip((0.0018 - np.minimum(np.abs(x), np.abs(y))) * unit, 0, 1))
    text = letter(number, 0.30 * unit, Ink(0.15)).mask()
    top, left = (stage.height - text.shape[0]) // 2, (stage.width - text.shape[1]) // 2
    box = lines[top : top + text.shape[0], left : left + text.shape[1]]
    np.maximum(box, text, out=box)
    out: Array = picture * (1 - lines) + 0.06 * lines
    return out


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    coast, stock = _Coast(stage), _Stock(stage)
    for index in range(stage.count):
        t = index / stage.fps
        if t < _LEADER:
            picture = _leader(stage, t) if t < 3.0 else np.full((stage.height, stage.width), 0.04, np.float32)
            yield stock.expose(picture, index, mark=False)
            continue
        left = stage.seconds - t
        picture = coast.paint(t - _LEADER)
        picture *= np.float32(span(t, _LEADER, _LEADER + 1.4))
        # The reel runs out: the last frames are fogged by daylight.
        fog = span(t, stage.seconds - 1.7, stage.seconds - 0.7)
        picture += np.float32(1.1 * fog) * smooth(coast.x + 0.9 - 2.4 * fog * coast.x, -0.4, 1.0) + np.float32(
            0.5 * fog * fog
        )
        dark = span(left, 0.0, 0.35)
        yield stock.expose(picture * np.float32(dark), index, mark=0.2 < (left - 4.0) % 1.6 < 0.4 and 3.5 < left < 6.5)


def score(stage: Stage) -> Sound:
    """A slow waltz from the next room, on a machine that does not run quite evenly; sea, foghorn, projector."""
    tape = sound.Tape(stage.seconds)
    length = stage.seconds
    rng = stage.rng("score")
    for beep in range(3):
        t = sound.seconds(0.07)
        tape.lay((np.sin(2 * np.pi * (1000) * t) * sound.envelope(0.07, 0.004, 0.01)).astype(np.float32), beep, 0.10)
    bars = ((45, (60, 64, 69), (76, 0, 72)), (40, (59, 62, 68), (74, 71, 0)), (45, (60, 64, 69), (72, 0, 69)), (41, (57, 60, 65), (77, 76, 74)),
            (38, (57, 62, 65), (74, 0, 77)), (45, (60, 64, 69), (76, 72, 69)), (40, (56, 59, 62), (71, 0, 68)), (45, (57, 60, 64), (69, 0, 0)))  # fmt: skip
    at, bar = _LEADER + 1.0, 0
    while at < length - 3:
        bass, chord, melody = bars[bar % 8]
        beat = 0.56
        tape.lay(sound.piano(bass, 2.0, 0.7), at, 0.26, -0.2)
        for later in (1, 2):
            for note in chord:
                tape.lay(sound.piano(note, 0.9, 0.55), at + later * beat, 0.085, -0.1)
        for step, note in enumerate(melody):
            if note:
                tape.lay(sound.piano(note, 2.0, 0.75), at + step * beat + float(rng.uniform(0, 0.02)), 0.24, 0.15)
        at += 3 * beat
        bar += 1
    tape.hall(1.6, 0.5, 1500)
    tape.samples = _wow(tape.samples)
    for call in (6.5, 15.5, 24.5):
        if call < length - 4:
            horn = sound.wave(34, 2.6, sound.BRIGHT) + sound.wave(34.13, 2.6, sound.HOLLOW)
            tape.lay(horn * sound.envelope(2.6, 0.35, 0.9), call, 0.055, 0.4)
    t = sound.seconds(length)
    swell = (0.55 + 0.45 * np.sin(t * 0.8)) * np.clip((t - _LEADER) / 2, 0, 1)
    tape.lay((sound.hiss(length, rng, 250, 1500, 0.4) * swell).astype(np.float32), 0, 0.020)
    ticks = np.exp(-((t * 24) % 1.0) * 8) * sound.hiss(length, rng, 1500, 5000)
    tape.lay(ticks.astype(np.float32), 0, 0.020, -0.2)
    tape.lay(sound.hiss(length, rng, 2500, 7000), 0, 0.004)
    return tape.master(0.11, 0.1, 0.6)


def _wow(samples: Sound) -> Sound:
    """Play a recording on a motor that is a little too slow and a little too fast in turn."""
    t = np.arange(len(samples)) / sound.RATE
    place = np.arange(len(samples)) + sound.RATE * (
        0.0045 * np.sin(2 * np.pi * 0.55 * t) + 0.00022 * np.sin(2 * np.pi * 6.3 * t)
    )
    sides = [np.interp(place, np.arange(len(samples)), samples[:, side]) for side in (0, 1)]
    return np.stack(sides, axis=1).astype(np.float32)


_TONE = ramp([(0, "#07080a"), (0.5, "#7c8083"), (1, "#f3efe4")], 256)


def still(stage: Stage) -> Picture:
    """The picture for poster and billboard."""
    picture = _Coast(stage).paint(1.15)
    noise = stage.rng("still grain").standard_normal(picture.shape, dtype=np.float32)
    picture = picture + blur(noise, 0.8) * 0.11
    return np.asarray(_TONE[(np.clip(picture * 1.08, 0, 1) * 255).astype(np.int32)], np.float32)


FILM = Film(
    slug="reel-nine",
    title="Reel Nine, Found Damp",
    synopsis=(
        "A tin from a boathouse, labelled nine; one to eight have not been found. It holds half a minute of a lighthouse, "
        "shot by somebody who stood still for once. The marks in the corner call for reel ten. We have no reel ten."
    ),
    year=1938,
    genres=("Found footage", "Sea"),
    credits=(
        Credit("Photography", "Unknown"),
        Credit("Water damage", "The North Sea"),
        Credit("Lamp", "One turn in six seconds"),
    ),
    seed=1938,
    seconds=30,
    frames=frames,
    score=score,
    still=still,
    pixels="gray",
    quality=25,
    preset="superfast",
    lettering=Title(
        "Reel\nNine", colour="#f3efe4", poster_y=0.8, shade=0.35, poster_height=0.085, ink=Ink(0.11, 0.4, 1.55)
    ),
    cues=(
        Cue("Reel Nine", 4.6, 8.6, x=0.30, y=0.80, height=0.07, ink=Ink(0.10, 0.45), colour="#e9e5da"),
        Cue("Found damp", 5.8, 8.6, x=0.30, y=0.89, height=0.03, ink=Ink(0.12, 0.6), colour="#e9e5da", writing=1.0),
    ),
)
