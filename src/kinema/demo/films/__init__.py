"""The studio's films, in the order in which they are rendered. To add one: write its module, add its row here.

The first one must be quick to render (about 3 s), since somebody is waiting for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from kinema.demo.film import Film

FILMS = (
    "nobody-up-yet",
    "neighbours",
    "fifteen-bells",
    "the-goat",
    "further-in",
    "starlings",
    "reel-nine",
    "roughly-here",
    "weather",
)
"""Slugs; a film's module has the same name with underscores and is imported when asked for."""


def film(slug: str) -> Film:
    """The film with this slug. Raises KeyError when the studio has none."""
    if slug not in FILMS:
        raise KeyError(f"There is no demo film {slug!r}; there are {', '.join(FILMS)}.")
    made: Film = import_module(f"kinema.demo.films.{slug.replace('-', '_')}").FILM
    return made


def films() -> Iterator[Film]:
    """All films, in order, each imported when its turn comes."""
    return map(film, FILMS)
