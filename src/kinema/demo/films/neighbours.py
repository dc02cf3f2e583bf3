"""Neighbours: a cellular automaton. Conway's Game of Life lived behind the windows of one large house at night."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinema.demo import sound
from kinema.demo.film import Credit, Cue, Film, Frame, Picture, Sound, Stage, Title
from kinema.demo.lettering import Ink
from kinema.demo.paint import Array, clouds, ramp, rgb, span

_COLUMNS, _ROWS = 64, 36
_EVENING = 3.5
"""Seconds until the first light goes on."""
_BEDTIME = 0.80
"""Share of the film after which people begin to switch off."""


def _speed(t: float, length: float) -> float:
    """Generations a second: neighbours take their time to notice, then it is a party, then it is late."""
    return 1.2 + 10.5 * span(t, _EVENING + 3, length * 0.45) - 6.5 * span(t, length * 0.6, length * _BEDTIME)


def _lives(stage: Stage) -> Iterator[tuple[float, Array]]:
    """The generations as (moment at which it begins, cells). The house stands on a torus, as houses do in mathematics."""
    cells = np.zeros((_ROWS, _COLUMNS), bool)
    # The R-pentomino: five lights that need more than a thousand generations to calm down.
    for y, x in ((0, 1), (0, 2), (1, 0), (1, 1), (2, 1)):
        cells[_ROWS // 2 + y, _COLUMNS // 2 + x - 2] = True
    # A second household far off, so that somebody comes to visit.
    for y, x in ((0, 1), (1, 2), (2, 0), (2, 1), (2, 2)):
        cells[4 + y, 8 + x] = True
    # An acorn on an upper floor, which grows for a long time too.
    for y, x in ((0, 1), (1, 3), (2, 0), (2, 1), (2, 4), (2, 5), (2, 6)):
        cells[9 + y, 46 + x] = True
    t = _EVENING + 2.2
    while True:
        yield t, cells
        around = sum(
            np.roll(cells, (dy, dx), (0, 1)).astype(np.int8) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx
        )
        cells = (around == 3) | (cells & (around == 2))
        t += 1 / _speed(t, stage.seconds)


def _bedtimes(stage: Stage) -> Array:
    """When each window is darkened for good, as a share of the film; one of them never is."""
    rng = stage.rng("bedtimes")
    times = (_BEDTIME + 0.15 * rng.random((_ROWS, _COLUMNS)) ** 0.7).astype(np.float32)
    times[_ROWS // 2 - 6, _COLUMNS // 2 + 13] = 2.0
    return times


class _House:
    """The front of the house: which pixel belongs to which window, how each lamp is tinted, and what the wall looks like."""

    def __init__(self, stage: Stage, columns: int = _COLUMNS, rows: int = _ROWS) -> None:
        rng = stage.rng("house")
        self.size = stage.height, stage.width
        y = (np.arange(stage.height) + 0.5) * rows / stage.height
        x = (np.arange(stage.width) + 0.5) * columns / stage.width
        self.row, self.column = y.astype(np.int32), x.astype(np.int32)
        fy, fx = y % 1, x % 1
        pane_y = (fy > 0.16) & (fy < 0.86) & ~((fy > 0.42) & (fy < 0.48))
        pane_x = (fx > 0.22) & (fx < 0.80) & ~((fx > 0.485) & (fx < 0.535))
        self.pane = (pane_y[:, None] & pane_x[None, :])[..., None]
        sill = ((fy > 0.86) & (fy < 0.93))[:, None] & ((fx > 0.16) & (fx < 0.86))[None, :]
        wall = ramp([(0, "#141829"), (1, "#23243a")], stage.height)[:, None, :] * np.ones(
            (1, stage.width, 1), np.float32
        )
        wall += (clouds(stage.height, stage.width, stage.rng("wall"), 0.9)[..., None] - 0.5) * 0.035
        wall += np.where(sill, 0.035, 0.0)[..., None].astype(np.float32)
        self.wall = np.clip(wall, 0, 1).astype(np.float32)
        lamps = np.array(
            [rgb(colour) for colour in ("#ffd27a", "#ffbe5c", "#ffe2a6", "#f7a64b", "#fff0cf", "#9fd0ff", "#ff9f80")]
        )
        self.lamp = lamps[rng.choice(len(lamps), (rows, columns), p=(0.3, 0.24, 0.18, 0.12, 0.08, 0.05, 0.03))].astype(
            np.float32
        )
        self.dark = rgb("#0a0c15") * (0.7 + 0.6 * rng.random((rows, columns, 1), dtype=np.float32))
        self.curtain = (0.72 + 0.28 * rng.random((rows, columns, 1), dtype=np.float32)).astype(np.float32)

    def paint(self, light: Array) -> Picture:
        """The house with each window lit by so much (0 to 1)."""
        level = light[..., None]
        window = self.dark + (self.lamp * self.curtain - self.dark) * level
        # Light spills onto the wall around a window: the lamps, blurred over three windows.
        spill: Array = self.lamp * level
        for axis in (0, 1):
            spill = (np.roll(spill, 1, axis) + 2 * spill + np.roll(spill, -1, axis)) / 4
        across = np.take(window, self.column, 1)
        glow = np.take(spill, self.column, 1)
        wall = self.wall + np.take(glow, self.row, 0) * np.float32(0.26)
        return np.where(self.pane, np.take(across, self.row, 0), wall)


def frames(stage: Stage) -> Iterator[Frame]:
    """The film, frame by frame."""
    house = _House(stage)
    lives = _lives(stage)
    bed = _bedtimes(stage)
    begins, cells = next(lives)
    upcoming = next(lives)
    light = np.zeros((_ROWS, _COLUMNS), np.float32)
    for index in range(stage.count):
        t = index / stage.fps
        while upcoming[0] <= t:
            begins, cells = upcoming
            upcoming = next(lives)
        awake = bed > t / stage.seconds
        wanted = (cells & awake if t >= begins else _first_light(t)).astype(np.float32)
        if t / stage.seconds > 0.9:
            wanted[bed > 1] = 1.0
        # A lamp comes on at once and goes out slowly, as people leave a room.
        light += (wanted - light) * np.where(wanted > light, 0.55, 0.075).astype(np.float32)
        shade = np.float32(span(t, 0, 2) * (1 - span(t, stage.seconds - 1.6, stage.seconds - 0.2)))
        yield (np.clip(house.paint(light), 0, 1) * (255 * shade)).astype(np.uint8)


def _first_light(t: float) -> Array:
    """Before the game begins: one lamp."""
    cells = np.zeros((_ROWS, _COLUMNS), bool)
    cells[_ROWS // 2 + 1, _COLUMNS // 2 - 1] = t > _EVENING
    return cells


def score(stage: Stage) -> Sound:
    """Every generation plays up to three of the windows that have just lit up: columns are keys of a kalimba."""
    tape = sound.Tape(stage.seconds)
    scale = [45 + octave * 12 + step for octave in range(4) for step in (0, 3, 5, 7, 10)]
    rng = stage.rng("score")
    tape.lay(sound.bell(69, 4), _EVENING, 0.22)
    before = np.zeros((_ROWS, _COLUMNS), bool)
    for t, cells in _lives(stage):
        if t > stage.seconds * 0.93:
            break
        born = np.argwhere(cells & ~before)
        before = cells
        chosen = born[rng.permutation(len(born))[: 1 + (len(born) > 12) + (len(born) > 40)]]
        for row, column in chosen:
            note = scale[(int(column) * len(scale)) // _COLUMNS]
            tape.lay(
                sound.pluck(note, 1.5, 0.5), t, 0.16 + 0.1 * float(rng.random()), int(column) / _COLUMNS * 1.6 - 0.8
            )
            del row
    third = stage.seconds / 3
    for part, chord in enumerate(((45, 57, 60, 64), (41, 57, 60, 67), (38, 50, 57, 65))):
        tape.lay(sound.pad(chord, third + 4, 3, 4, sound.HOLLOW), part * third - 1, 0.30)
    tape.lay(sound.bell(57, 5), stage.seconds * 0.955, 0.2)
    tape.hall(1.9, 0.35)
    return tape.master()


def still(stage: Stage) -> Picture:
    """The picture for poster and billboard."""
    rows = 27 if stage.height > stage.width else 18
    columns = round(rows * stage.width / stage.height)
    house = _House(stage, columns, rows)
    rng = stage.rng("still")
    light = (rng.random((rows, columns)) < 0.16).astype(np.float32) * (
        0.55 + 0.45 * rng.random((rows, columns), dtype=np.float32)
    )
    return house.paint(light)


FILM = Film(
    slug="neighbours",
    title="Neighbours",
    synopsis=(
        "Late in the evening a light goes on. Next door somebody notices, and next door to that. Too few neighbours and "
        "you move out; too many and you move out; three, and a new one moves in. The rules are John Conway's, 1970. The "
        "insomnia is everybody's."
    ),
    year=2025,
    genres=("Drama", "Cellular automaton"),
    credits=(Credit("Rules", "John Horton Conway"), Credit("Lead", "An R-pentomino"), Credit("Visitor", "A glider")),
    seed=1970,
    seconds=36,
    frames=frames,
    score=score,
    still=still,
    fps=25,
    lettering=Title("Neigh-\nbours", poster_y=0.5, shade=0.75, ink=Ink(0.10, 0.30), colour="#ffe2a6"),
    cues=(Cue("Neighbours", 0.8, 5.2, height=0.085, ink=Ink(0.075, 0.5), colour="#ffe2a6", y=0.36),),
)
