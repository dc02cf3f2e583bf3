"""What a demo film is: its details, its size in pixels and seconds, and the functions that paint and score it.

A film is a value (`Film`) that its module in `kinema.demo.films` exports under the name FILM. Its functions receive a
`Stage`, which says how large and how long this rendering is; tests render on a small stage, the studio on the full one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from kinema.demo.lettering import Ink

Picture = npt.NDArray[Any]
"""float32: height x width x 3, sRGB values from 0 to 1."""

Frame = npt.NDArray[Any]
"""uint8 or uint16: one raw frame as it is piped to ffmpeg: height x width x 3, or height x width for grey films."""

Sound = npt.NDArray[Any]
"""float32: samples x 2, from -1 to 1, at `kinema.demo.sound.RATE`."""


class Stage(msgspec.Struct, frozen=True):
    """The size and length of one rendering. All randomness of a film comes from `rng`."""

    width: int
    height: int
    fps: int
    seconds: float
    seed: int

    @property
    def count(self) -> int:
        """Number of frames."""
        return round(self.fps * self.seconds)

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose, so that adding one never changes what the others draw."""
        text = f"{self.seed}:{purpose}".encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))


class Cue(msgspec.Struct, frozen=True):
    """Lettering that a pen writes over the film, at the film's full size whatever the raster of its frames is.

    Times are seconds from the start of the film. `x` and `y` (0 to 1) place the centre of the block. `height` is that of a
    capital letter as a fraction of the picture's height.
    """

    text: str
    start: float
    end: float
    x: float = 0.5
    y: float = 0.5
    height: float = 0.07
    ink: Ink = Ink()
    colour: str = "#f4ecdf"
    writing: float = 1.6
    fade: float = 0.9


class Title(msgspec.Struct, frozen=True):
    """How the artwork carries the title: lines broken by hand, placed by their centre (0 to 1).

    Billboards carry no letters: pages write the title over them, as text that can be read aloud and translated.
    """

    poster: str
    colour: str = "#f4ecdf"
    ink: Ink = Ink()
    poster_y: float = 0.8
    poster_height: float = 0.105
    """The most that a capital may have of the poster's height; its width limits it too."""
    foot_y: float = 0.955
    """Where the poster's last line stands, the studio's name."""
    shade: float = 0.35
    """How much the picture is darkened behind the letters (negative: lightened), 0 to 1."""


class Credit(msgspec.Struct, frozen=True):
    """Who did what."""

    role: str
    name: str


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """One film of the studio. `raster` is the size of the frames that `frames` yields; ffmpeg scales them to `size`."""

    slug: str
    title: str
    synopsis: str
    year: int
    genres: tuple[str, ...]
    credits: tuple[Credit, ...]
    seed: int
    seconds: float
    frames: Callable[[Stage], Iterator[Frame]]
    score: Callable[[Stage], Sound]
    still: Callable[[Stage], Picture]
    lettering: Title
    cues: tuple[Cue, ...] = ()
    size: tuple[int, int] = (1280, 720)
    raster: tuple[int, int] = (1280, 720)
    fps: int = 24
    pixels: str = "rgb24"
    """ffmpeg's name of the frames' layout: rgb24, rgb48le or gray."""
    scaler: str = "bicubic"
    quality: int = 14
    """x264's constant rate factor; grain gets a higher one, since nobody can tell and the disk can."""
    preset: str = "veryfast"

    def stage(self, scale: float = 1.0, seconds: float | None = None) -> Stage:
        """The stage of the full film, or a smaller and shorter one for tests. Sizes stay even."""
        width, height = (max(16, round(side * scale / 2) * 2) for side in self.raster)
        return Stage(width, height, self.fps, self.seconds if seconds is None else seconds, self.seed)
