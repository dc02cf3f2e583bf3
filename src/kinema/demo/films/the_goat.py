"""The Goat, What Remains: title cards. A silent comedy of which only the words have survived."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink, letter, line_width
from kinema.demo.paint import Array, blend, blur, clouds, ramp, rgb, span, wander

_CARDS = (
    ("The Goat", "A comedy in one reel, 1923.\nThe pictures are lost.", 4.6),
    ("A quiet morning\nat the savings bank.", "", 3.6),
    ('"Sir, is that\nyour goat?"', "", 3.2),
    ('"It is not\nmy goat."', "", 2.8),
    ('"Then whose hat\nis it eating?"', "", 3.2),
    ("The hat was\nthe mayor's.", "", 3.0),
    ("Enter the mayor.", "", 2.4),
    ("Exit the mayor.", "", 2.0),
    ('"Everybody\nremain calm!"', "", 2.6),
    ("Nobody\nremained calm.", "", 2.8),
    ("(Here about nine\nminutes are missing.)", "", 3.4),
    ("...which is how\nthe goat came to\nown the bank.", "", 4.2),
    ("The End", "The goat retired in 1931, much respected.", 4.8),
)
_WORDS = Ink(0.095, 0.27, 1.6)


def _starts(stage: Stage) -> list[float]:
    """When each card begins; the cards share the film's length in proportion."""
    total = sum(card[2] for card in _CARDS)
    edges = np.cumsum([0.0, *(card[2] for card in _CARDS)]) / total * stage.seconds
    return [float(edge) for edge in edges]


def _frame_lines(height: int, width: int) -> Array:
    """The border of a card: two lines, and a quarter circle cut from each corner."""
    y = np.minimum(np.arange(height), np.arange(height)[::-1]).astype(np.float32)[:, None] / height
    x = np.minimum(np.arange(width), np.arange(width)[::-1]).astype(np.float32)[None, :] / height
    out = np.zeros((height, width), np.float32)
    for inset, weight, corner in ((0.055, 0.0055, 0.09), (0.072, 0.0018, 0.09)):
        to_corner = np.hypot(y - 0.045, x - 0.045) - corner * (1 + (inset - 0.055))
        to_sides = np.minimum(y, x) - inset
        edge = np.abs(np.minimum(to_sides, to_corner))
        out = np.maximum(out, np.clip((weight / 2 - edge) * height + 0.5, 0, 1))
    scroll = np.hypot(y - 0.082, x - 0.082)
    return np.maximum(out, np.clip((0.012 - np.abs(scroll - 0.022) * 4) * height / 4 + 0.2, 0, 1))


def _card(height: int, width: int, words: str, small: str) -> Array:
    """A card as brightness from 0 to 1, white on black."""
    picture = np.repeat(_frame_lines(height, width)[..., None], 3, axis=2)
    white = np.ones(3, np.float32)
    wide = max(line_width(line, _WORDS) for line in words.upper().split("\n"))
    capital = min(0.105 * height, width * 0.70 / wide)
    blend(picture, letter(words, capital, _WORDS).mask(), 0.5, 0.44 if small else 0.5, white)
    if small:
        blend(picture, letter(small, 0.030 * height, Ink(0.11, 0.42, 2.1)).mask(), 0.5, 0.70, white)
    return np.ascontiguousarray(picture[..., 0])


_SEPIA = ramp([(0, "#0d0805"), (0.15, "#1d130c"), (0.6, "#9c7b57"), (0.9, "#efdfc0"), (1, "#fff6e2")], 256)


class _Print:
    """The worn copy: weave of the film gate, flicker of the lamp, stains, dust and one persistent scratch."""

    def __init__(self, stage: Stage) -> None:
        self.height, self.width = stage.height, stage.width
        self.stain = (clouds(stage.height, stage.width, stage.rng("stain"), 1.6) - 0.3) * 0.14
        self.rng = stage.rng("dust")
        count = stage.count + 1
        self.weave = np.stack([wander(count, stage.rng("x"), 3), wander(count, stage.rng("y"), 4)])
        self.flicker = 1 + 0.035 * wander(count, stage.rng("flicker"), 1)
        self.scratch = 0.71 + 0.012 * wander(count, stage.rng("scratch"), 20)
        self.lut = (_SEPIA * 255).astype(np.uint8)

    def age(self, card: Array, index: int, level: float) -> Frame:
        unit = self.height / 720
        weave = np.round(self.weave[:, index] * 1.6 * unit).astype(int)
        jump = -int(40 * unit) if self.rng.random() < 0.004 else 0
        picture = np.roll(card, (int(weave[1]) + jump, int(weave[0])), (0, 1)) * np.float32(0.93 * level)
        picture += self.stain
        x = int(self.scratch[index] * self.width)
        if 0 <= x < self.width - 2 and self.rng.random() < 0.8:
            picture[:, x : x + max(1, round(unit))] += 0.16
        for _ in range(int(self.rng.poisson(2.2))):
            self._dust(picture, unit)
        picture *= np.float32(self.flicker[index] * 255)
        return self.lut[np.clip(picture, 0, 255).astype(np.uint8)]

    def _dust(self, picture: Array, unit: float) -> None:
        """A speck or a hair that is on one frame only."""
        y, x = int(self.rng.integers(0, self.height - 2)), int(self.rng.integers(0, self.width - 2))
        length = int(self.rng.integers(1, 26 if self.rng.random() < 0.25 else 6) * unit) + 1
        bend = self.rng.uniform(-0.12, 0.12) / unit
        angle = self.rng.uniform(0, 6.3)
        steps = np.arange(length * 2) / 2
        turn = angle + bend * steps
        rows, columns = (y + np.cumsum(np.sin(turn)) / 2).astype(int), (x + np.cumsum(np.cos(turn)) / 2).astype(int)
        inside = (rows >= 0) & (rows < self.height - 1) & (columns >= 0) & (columns < self.width - 1)
        rows, columns = rows[inside], columns[inside]
        sign = 0.5 if self.rng.random() < 0.6 else -0.5
        for dy in (0, 1):
            picture[rows + dy, columns] += sign


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    worn = _Print(stage)
    edges = _starts(stage)
    shown, card = -1, np.zeros((stage.height, stage.width), np.float32)
    for index in range(stage.count):
        t = index / stage.fps
        current = max(0, min(len(_CARDS) - 1, int(np.searchsorted(edges, t, "right")) - 1))
        if current != shown:
            shown = current
            card = blur(_card(stage.height, stage.width, *_CARDS[current][:2]), 0.8 * stage.height / 720)
        start, end = edges[current], edges[current + 1]
        level = span(t, start, start + 0.35) * (1 - span(t, end - 0.3, end))
        final = 1 - span(t, stage.seconds - 1.2, stage.seconds)
        yield worn.age(card, index, level * final)


# A rag in F: for each bar the bass note, the chord above it, and eight quavers of melody (0: rest).
_BARS = (
    (41, (57, 60, 65), (72, 74, 77, 0, 81, 79, 77, 0)),
    (40, (55, 60, 64), (76, 0, 72, 76, 0, 79, 76, 72)),
    (38, (57, 62, 65), (74, 77, 0, 81, 0, 77, 74, 0)),
    (36, (58, 64, 67), (72, 71, 72, 0, 76, 79, 82, 0)),
    (41, (57, 60, 65), (81, 0, 77, 81, 0, 84, 81, 77)),
    (46, (58, 62, 65), (82, 81, 79, 0, 77, 74, 70, 0)),
    (36, (58, 60, 64), (72, 76, 79, 76, 82, 0, 79, 76)),
    (41, (57, 60, 65), (77, 0, 72, 69, 65, 0, 0, 0)),
)


def score(stage: Stage) -> Sound:
    """A picture-house piano. It is silent for the missing nine minutes, and hurries while nobody remains calm."""
    tape = sound.Tape(stage.seconds)
    edges = _starts(stage)
    rng = stage.rng("score")
    t, bar = 0.35, 0
    while t < edges[-2] - 0.8:
        frantic = edges[6] <= t < edges[10]
        beat = 0.27 if frantic else 0.38
        bass, chord, melody = _BARS[bar % len(_BARS)]
        if edges[10] - 0.1 <= t < edges[11] - 0.4:
            t = edges[11] + 0.1
            continue
        _play_bar(tape, t, beat, bass, chord, melody, rng)
        t += beat * 4
        bar += 1
    end = edges[-2] + 0.4
    for number, notes in enumerate(((60, 64, 67, 70), (58, 62, 65), (57, 60, 65), (53, 57, 60, 65, 77))):
        for note in notes:
            tape.lay(
                sound.piano(note, 2.4, 0.7), end + 0.62 * number + float(rng.uniform(0, 0.03)), 0.16, (note - 62) / 40
            )
    tape.hall(0.9, 0.22, 2600)
    # An old room: the projector behind the wall, the surface noise of the disc.
    tape.lay(sound.hiss(stage.seconds, rng, 900, 3200), 0, 0.008)
    turns = sound.seconds(stage.seconds) * 18
    tape.lay(
        (np.exp(-((turns % 1.0) * 9)) * sound.hiss(stage.seconds, rng, 1200, 4000)).astype(np.float32), 0, 0.013, 0.3
    )
    return tape.master(0.12, 0.3, 1.8)


def _play_bar(
    tape: sound.Tape,
    t: float,
    beat: float,
    bass: int,
    chord: tuple[int, ...],
    melody: tuple[int, ...],
    rng: np.random.Generator,
) -> None:
    def human() -> float:
        return float(rng.uniform(-0.009, 0.009))

    for half in (0, 2):
        low = bass if half == 0 else bass - 5
        tape.lay(sound.piano(low, 1.3, 0.75), t + half * beat + human(), 0.22, -0.35)
        tape.lay(sound.piano(low - 12, 1.3, 0.7), t + half * beat + human(), 0.12, -0.4)
        for note in chord:
            tape.lay(sound.piano(note, 0.6, 0.6), t + (half + 1) * beat + human(), 0.085, -0.1)
    for quaver, note in enumerate(melody):
        if note:
            swing = 0.06 if quaver % 2 else 0.0
            at = t + (quaver / 2 + swing) * beat + human()
            tape.lay(sound.piano(note, 1.1, 0.8), at, 0.21 if quaver % 2 == 0 else 0.16, 0.3)


def still(stage: Stage) -> Picture:
    """A bare, stained card; words stand in the poster alone, as the pages lay the title over a billboard."""
    picture = _frame_lines(stage.height, stage.width) * 0.9
    picture = picture + (clouds(stage.height, stage.width, stage.rng("stain"), 1.5) - 0.25) * 0.22
    if stage.height > stage.width:
        words = np.zeros((stage.height, stage.width, 3), np.float32)
        lines = letter("A comedy in one reel\n\nThe pictures are lost", stage.width * 0.026, Ink(0.11, 0.45, 2.2))
        blend(words, lines.mask(), 0.5, 0.66, rgb("#ffffff"))
        picture = np.maximum(picture, words[..., 0] * 0.85)
    return np.asarray(_SEPIA[(np.clip(picture, 0, 1) * 255).astype(np.int32)], np.float32)


FILM = Film(
    slug="the-goat",
    title="The Goat, What Remains",
    synopsis=(
        "Of the silent comedy The Goat (1923) every picture has been lost. The title cards were found in a hat box, in "
        "order, and are complete but for nine minutes. Scholars agree that it must have been a very good goat."
    ),
    year=1923,
    genres=("Comedy", "Silent"),
    credits=(
        Credit("The goat", "Uncredited"),
        Credit("Piano", "An upright of good will"),
        Credit("Restoration", "Kinema Studio"),
    ),
    seed=1923,
    seconds=43,
    frames=frames,
    score=score,
    still=still,
    quality=18,
    lettering=Title("The\nGoat", poster_y=0.40, foot_y=0.885, colour="#f6e7c8", shade=0.0, ink=Ink(0.13, 0.28, 1.5)),
)
