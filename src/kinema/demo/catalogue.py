"""What is put into a region, in order: the studio's first film, the real clips, the studio's other films."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from kinema.demo.artwork import Kind, artwork, jpeg
from kinema.demo.film import Film
from kinema.demo.films import FILMS, film
from kinema.demo.real_clips import CLIPS, Clip
from kinema.demo.render import Progress, render_cached
from kinema.model.catalog import TitleDetails

STUDIO_SHELF = "Kinema Studio"
CLIPS_SHELF = "From the Real World"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Item(msgspec.Struct, frozen=True):
    """One title of the demo catalogue. `source` yields its file, rendering it first if need be; it blocks."""

    slug: str
    title_id: str
    details: TitleDetails
    source: Callable[[Path, Progress | None, threading.Event | None], Path]
    pictures: tuple[tuple[Kind, Callable[[], bytes]], ...] = ()


def title_id(slug: str) -> str:
    """The id that a demo title has in every region: 26 letters of the digest of its slug."""
    number = int.from_bytes(hashlib.sha256(f"kinema demo {slug}".encode()).digest()[:17], "big")
    return "ttl_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def items() -> tuple[Item, ...]:
    """The whole demo catalogue, in the order in which it is put in."""
    first, *others = FILMS
    return (_of_film(film(first)), *map(_of_clip, CLIPS), *(_of_film(film(slug)) for slug in others))


def _of_film(made: Film) -> Item:
    def source(cache: Path, progress: Progress | None, stop: threading.Event | None) -> Path:
        return render_cached(made, cache, progress, stop).path

    def picture(kind: Kind) -> Callable[[], bytes]:
        return lambda: jpeg(artwork(made, kind))

    credit = "; ".join(f"{line.role}: {line.name}" for line in made.credits)
    details = TitleDetails(made.title, made.synopsis, made.year, made.genres, STUDIO_SHELF, credit)
    pictures: tuple[tuple[Kind, Callable[[], bytes]], ...] = (
        ("poster", picture("poster")),
        ("billboard", picture("billboard")),
    )
    return Item(made.slug, title_id(made.slug), details, source, pictures)


def _of_clip(clip: Clip) -> Item:
    details = TitleDetails(clip.title, clip.synopsis, clip.year, clip.genres, CLIPS_SHELF, clip.credits)
    return Item(clip.slug, title_id(clip.slug), details, lambda *_: clip.path)
