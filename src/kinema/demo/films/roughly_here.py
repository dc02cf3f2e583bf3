"""Roughly Here: camera shake over a texture. A map of an island that does not exist, searched with an unsteady hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink, letter
from kinema.demo.paint import Array, Sampler, blend, blur, clouds, ink_over, ramp, rgb, sample, span, wander

_CROSS = (0.36, 0.63)
"""Where it is (y, x), as shares of the map."""
_NAMES = (
    ("Bay of\nReasonable Hope", 0.825, 0.245, 0.010),
    ("Mount Perhaps", 0.505, 0.475, 0.013),
    ("Greater Doubt", 0.190, 0.560, 0.010),
    ("Lesser Doubt", 0.640, 0.810, 0.010),
    ("Here we had\nsandwiches", 0.590, 0.345, 0.007),
    ("Swamp (larger than shown)", 0.605, 0.660, 0.007),
    ("Cape Afterthought", 0.935, 0.690, 0.010),
    ("Unsurveyed\n(it rained)", 0.255, 0.420, 0.009),
    ("The Other One", 0.195, 0.095, 0.009),
    ("Sea of Tea", 0.905, 0.390, 0.020),
    ("Roughly here", 0.415, 0.645, 0.008),
)


def _island(height: int, width: int, rng: np.random.Generator) -> Array:
    """Height above the sea, which is 0, from about -1 to 1. The island is the same at every size of the sheet."""
    rows, columns = 240, 360
    land = 1.9 * (clouds(rows, columns, rng, 2.0, 1.6) - 0.5) + 0.16 * (clouds(rows, columns, rng, 1.3, 9) - 0.5)
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    land += 0.52 - 1.05 * (np.abs(x) ** 2.8 + np.abs(y) ** 2.8) - 0.05 * np.cos(5 * x + 2 * y)
    fine_y = np.linspace(0, rows - 1.001, height, dtype=np.float32)[:, None]
    fine_x = np.linspace(0, columns - 1.001, width, dtype=np.float32)[None, :]
    return blur(sample(land.astype(np.float32), fine_y, fine_x), 0.75 * height / rows)


def _map(height: int, width: int, stage: Stage) -> Picture:
    """The sheet: washes by altitude, shading from the north-west, contours, coast, names, folds and a red cross."""
    land = _island(height, width, stage.rng("island"))
    # Whatever the seed has made of it: under the cross there is land.
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None] - _CROSS[0]
    x = (np.linspace(0, 1, width, dtype=np.float32)[None, :] - _CROSS[1]) * width / height
    land += 0.12 * np.exp(-(y * y + x * x) / 0.01)
    wash = ramp(
        [
            (-1, "#7fa9ad"),
            (-0.25, "#a5c6c0"),
            (-0.02, "#cfe0cf"),
            (0.0, "#e9e0bd"),
            (0.12, "#d5d6a0"),
            (0.35, "#c3b681"),
            (0.6, "#b08f68"),
            (1, "#f1e9dc"),
        ],
        2048,
    )
    picture = wash[np.clip((land + 1) * 1023.5, 0, 2047).astype(np.int32)]
    unit = height / 1600
    soft = land
    light = (np.roll(soft, 1, 0) - soft + np.roll(soft, 1, 1) - soft) * (height / 2.2)
    picture += np.clip(light * 0.035, -0.16, 0.12)[..., None] * (land > 0)[..., None]
    steep = np.hypot(np.gradient(soft, axis=0), np.gradient(soft, axis=1)) + 1e-6
    for every, weight, strength in ((0.04, 0.55, 0.34), (0.20, 1.0, 0.55)):
        near = np.abs((soft / every + 0.5) % 1 - 0.5) * every / steep
        line = np.clip(weight * unit + 0.5 - near, 0, 1) * (soft > 0.02) * strength
        picture += (rgb("#7a4a2b") - picture) * line[..., None]
    for depth, strength in ((0.0, 0.9), (-0.03, 0.30), (-0.065, 0.18), (-0.11, 0.10)):
        line = np.clip(0.8 * unit + 0.5 - np.abs(soft - depth) / steep, 0, 1) * strength
        picture += (rgb("#23506a") - picture) * line[..., None]
    _print_words(picture, height)
    _wear(picture, stage, unit)
    return np.clip(picture, 0, 1).astype(np.float32)


def _print_words(picture: Picture, height: int) -> None:
    for text, y, x, size in _NAMES:
        lines = letter(text, max(5.0, size * height), Ink(0.12, 0.42, 1.7))
        blend(picture, lines.glow(size * height * 0.35) * 0.5, x, y, rgb("#efe6cb"))
        ink_over(picture, lines, x, y, "#2c2a33", 0.88)
    cross = letter("X", height * 0.028, Ink(0.22), margin=1)
    ink_over(picture, cross, _CROSS[1], _CROSS[0], "#c9241f", 0.95)


def _wear(picture: Picture, stage: Stage, unit: float) -> None:
    """A printed grid, the fibres of the paper, folds, and the ring of a mug."""
    height, width = picture.shape[:2]
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None, :]
    for axis, length in ((y, height), (x, height)):
        line = np.abs((axis / length * 8 + 0.5) % 1 - 0.5) * length / 8
        picture -= (np.clip(0.4 * unit + 0.5 - line, 0, 1) * 0.10)[..., None]
    picture += ((clouds(height, width, stage.rng("fibre"), 0.45, 20) - 0.5) * 0.09)[..., None]
    for axis, fold in ((x, width / 4), (x, width / 2), (x, width * 3 / 4), (y, height / 2)):
        away = axis - fold
        picture += (
            np.exp(-np.abs(away) / (7 * unit)) * np.sign(away) * 0.07 + np.exp(-((away / (1.6 * unit)) ** 2)) * 0.09
        )[..., None]
    ring = np.abs(np.hypot(y - height * 0.78, x - width * 0.36) - 105 * unit)
    picture -= (np.clip(1 - ring / (7 * unit), 0, 1) * 0.12)[..., None] * (1 - rgb("#a8743c"))


class _Hand:
    """Where the camera looks: a list of places of interest, visited with eased pans, and a shake that depends on the nerves."""

    # moment (share of the film), y, x (shares of the map), width seen (share of the map)
    _stops = (
        (0.00, 0.50, 0.50, 0.86), (0.13, 0.50, 0.50, 0.82), (0.22, 0.78, 0.26, 0.34), (0.30, 0.76, 0.30, 0.32), (0.38, 0.58, 0.37, 0.25),
        (0.46, 0.50, 0.47, 0.28), (0.55, 0.27, 0.43, 0.30), (0.61, 0.22, 0.54, 0.31), (0.70, 0.82, 0.70, 0.33), (0.78, 0.60, 0.66, 0.24),
        (0.89, 0.39, 0.634, 0.155), (1.0, 0.393, 0.635, 0.15),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        count = stage.count + 1
        self.stage = stage
        self.sway = np.stack([wander(count, stage.rng(f"sway {axis}"), 14) for axis in "yxr"])
        self.shake = np.stack([wander(count, stage.rng(f"shake {axis}"), 2) for axis in "yxr"])

    def at(self, index: int) -> tuple[float, float, float, float]:
        """(y, x, width seen, rotation in radians) for a frame."""
        u = index / max(1, self.stage.count - 1)
        last = len(self._stops) - 2
        number = min(last, sum(stop[0] <= u for stop in self._stops[1:]))
        a, b = self._stops[number], self._stops[number + 1]
        way = span(u, a[0], b[0])
        y, x, wide = (a[part] + (b[part] - a[part]) * way for part in (1, 2, 3))
        nerves = 1.0 - 0.55 * span(u, 0.86, 0.94)
        sway, shake = self.sway[:, index] * nerves, self.shake[:, index] * nerves
        y += wide * (0.020 * float(sway[0]) + 0.0042 * float(shake[0]))
        x += wide * (0.016 * float(sway[1]) + 0.0036 * float(shake[1]))
        return y, x, wide, 0.022 * float(sway[2]) + 0.0035 * float(shake[2]) + 0.05 * float(np.sin(u * 9))


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    height = max(200, stage.height * 3)
    width = height * 3 // 2
    sheet = np.ascontiguousarray(np.moveaxis(_map(height, width, stage) * 255, 2, 0))
    halves = sheet.reshape(3, height // 2, 2, width // 2, 2).mean(axis=(2, 4)).astype(np.float32)
    hand = _Hand(stage)
    across = (np.arange(stage.width, dtype=np.float32) + 0.5) / stage.width - 0.5
    down = ((np.arange(stage.height, dtype=np.float32) + 0.5) / stage.height - 0.5) * stage.height / stage.width
    shadow = (1 - 0.42 * (4 * across[None, :] ** 2 * 0.6 + 4 * down[:, None] ** 2 * 1.2)).astype(np.float32)
    for index in range(stage.count):
        y, x, wide, turn = hand.at(index)
        t = index / stage.fps
        shade = np.float32(span(t, 0, 1.6) * (1 - span(t, stage.seconds - 1.8, stage.seconds - 0.2)))
        layers, scale = (sheet, 1.0) if wide * width < 1.5 * stage.width else (halves, 0.5)
        c, s = np.float32(np.cos(turn) * wide * width * scale), np.float32(np.sin(turn) * wide * width * scale)
        rows = np.float32(y * height * scale) + down[:, None] * c + across[None, :] * s
        columns = np.float32(x * width * scale) + across[None, :] * c - down[:, None] * s
        light = shadow * shade
        sampler = Sampler(layers.shape[1], layers.shape[2], rows, columns)
        frame = np.empty((stage.height, stage.width, 3), np.uint8)
        for channel, layer in enumerate(layers):
            np.multiply(sampler.of(layer), light, out=frame[..., channel], casting="unsafe")
        yield frame


def score(stage: Stage) -> Sound:
    """Footsteps through gravel, a clarinet of sorts that looks for its key, and finds it where the cross is."""
    tape = sound.Tape(stage.seconds)
    length = stage.seconds
    rng = stage.rng("score")
    found = length * 0.86
    phrases = (
        (2.2, (62, 65, 69, 68)), (6.3, (64, 67, 70, 69)), (10.6, (62, 66, 69, 73)), (14.6, (65, 68, 72, 71)),
        (18.4, (64, 67, 71, 74)), (22.2, (66, 69, 72, 75)),
    )  # fmt: skip
    for at, notes in phrases:
        if at < found - 3:
            for step, note in enumerate(notes):
                blown = sound.wave(note, 1.0, sound.HOLLOW) * sound.envelope(1.0, 0.06, 0.45)
                tape.lay(blown, at + step * 0.62, 0.16, -0.3 + 0.15 * step)
            tape.lay(sound.pluck(notes[0] - 24, 2.2, 0.5), at, 0.4)
            tape.lay(sound.pluck(notes[2] - 24, 2.2, 0.5), at + 1.24, 0.34)
    for step, note in enumerate((62, 66, 69, 74, 78, 81)):
        tape.lay(sound.bell(note, 4.5), found + step * 0.17, 0.18, -0.5 + step * 0.2)
    tape.lay(sound.pad((38, 50, 57, 62, 66), length - found + 1, 0.6, 3), found, 0.5)
    tape.hall(1.3, 0.3)
    at = 1.0
    while at < found - 1.0:
        burst = sound.hiss(0.14, rng, 700, 3500) * np.exp(-np.abs(sound.seconds(0.14) - 0.035) * 45).astype(np.float32)
        tape.lay(burst.astype(np.float32), at, 0.045 * float(rng.uniform(0.6, 1.1)), float(rng.uniform(-0.4, 0.4)))
        hurry = span(at, found * 0.6, found)
        at += 0.56 - 0.14 * hurry + float(rng.uniform(-0.03, 0.03))
    tape.lay(sound.hiss(length, rng, 300, 900, 0.3), 0, 0.006)
    return tape.master(0.11, 0.8, 2.0)


def still(stage: Stage) -> Picture:
    """The picture for poster and billboard."""
    height = round(stage.height * (1.9 if stage.height > stage.width else 2.2))
    width = height * 3 // 2
    sheet = _map(height, width, stage)
    top = min(max(0, round((_CROSS[0] + 0.05) * height - stage.height / 2)), height - stage.height)
    left = min(max(0, round((_CROSS[1] - 0.02) * width - stage.width / 2)), width - stage.width)
    cut = sheet[top : top + stage.height, left : left + stage.width]
    y = np.linspace(-1, 1, stage.height, dtype=np.float32)[:, None, None]
    x = np.linspace(-1, 1, stage.width, dtype=np.float32)[None, :, None]
    return np.asarray(cut * (1 - 0.28 * (0.5 * x * x + 0.6 * y * y)), np.float32)


FILM = Film(
    slug="roughly-here",
    title="Roughly Here",
    synopsis=(
        "Somewhere on this island there is a red cross. The map is good, the names are honest, and the search would be a "
        "matter of seconds if the cameraman had not had quite so much coffee."
    ),
    year=2022,
    genres=("Adventure", "Cartography"),
    credits=(Credit("Survey", "Two days, one of rain"), Credit("Camera", "Handheld"), Credit("Sandwiches", "Egg")),
    seed=77,
    seconds=32,
    frames=frames,
    score=score,
    still=still,
    quality=19,
    preset="superfast",
    lettering=Title(
        "Roughly\nHere", colour="#2a2530", poster_y=0.82, shade=-0.8, poster_height=0.075, ink=Ink(0.12, 0.34, 1.6)
    ),
    cues=(Cue("Roughly Here", 0.8, 4.6, colour="#2a2530", height=0.085, ink=Ink(0.11, 0.4)),),
)
