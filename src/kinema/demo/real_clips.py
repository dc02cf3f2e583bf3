"""The second shelf: a few real clips under free licences, which lie in `clips/` with their attribution.

To add one: put the file there, a line in ATTRIBUTION.md, and a row here. All clips together stay below 5 MB.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

DIRECTORY = Path(__file__).parent / "clips"


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """One clip. `credits` carries the attribution that its licence asks for, so that it is shown wherever the title is."""

    slug: str
    file: str
    title: str
    synopsis: str
    year: int | None
    genres: tuple[str, ...]
    credits: str

    @property
    def path(self) -> Path:
        """Where the clip lies."""
        return DIRECTORY / self.file


CLIPS = (
    Clip(
        slug="a-rabbit-stretches",
        file="bunny.mp4",
        title="A Rabbit Stretches",
        synopsis=(
            "A large rabbit comes out of his hole and finds the morning to his liking. Five seconds from Big Buck Bunny, "
            "the film that every video player has seen before you have."
        ),
        year=2008,
        genres=("Animation",),
        credits=(
            "Big Buck Bunny, (c) copyright 2008 Blender Foundation / www.bigbuckbunny.org; Creative Commons "
            "Attribution 3.0 (creativecommons.org/licenses/by/3.0); excerpt, unchanged"
        ),
    ),
    Clip(
        slug="portulaca",
        file="flower.mp4",
        title="Portulaca, Opening",
        synopsis="A flower opens. It does this once, for a few hours, and does not mind who is watching.",
        year=None,
        genres=("Nature",),
        credits="From mdn/interactive-examples; CC0 1.0, dedicated to the public domain",
    ),
    Clip(
        slug="glass-lotus",
        file="crystal.mp4",
        title="Glass Lotus with Table",
        synopsis=(
            "Somebody walks a camera around a glass flower on a very wooden table. The flower keeps its countenance, "
            "the hand does not."
        ),
        year=None,
        genres=("Still life",),
        credits="From mdn/learning-area; CC0 1.0, dedicated to the public domain",
    ),
)
