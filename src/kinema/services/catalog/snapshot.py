"""The published catalogue: an immutable snapshot of every published title, held in memory by each reader. Pure.

Titles are newest first. A snapshot is validated before it is published: one that fails is never announced, so readers keep
the last good one.
"""

import math
from functools import cached_property

import msgspec

from kinema.core.errors import Conflict
from kinema.model.catalog import Home, PublishedTitle, Title
from kinema.services.catalog.home import arrange
from kinema.services.catalog.search import words_of


class SnapshotBody(msgspec.Struct, frozen=True):
    """What is stored of a snapshot. `created_at` is in Unix seconds."""

    version: int
    created_at: float
    titles: tuple[Title, ...]


class Snapshot:
    """A snapshot with what reading it needs, each worked out once."""

    def __init__(self, body: SnapshotBody) -> None:
        self.version = body.version
        self.titles = body.titles
        self.by_id = {title.title_id: title for title in body.titles}

    @cached_property
    def home(self) -> Home:
        """The home page."""
        return arrange(self.version, self.titles)

    @cached_property
    def words(self) -> tuple[tuple[str, str], ...]:
        """For each title, in order, its name and all of its texts as they are searched."""
        return tuple(words_of(title) for title in self.titles)


EMPTY = Snapshot(SnapshotBody(version=0, created_at=0.0, titles=()))


def newest_first(titles: list[Title]) -> tuple[Title, ...]:
    """Return the titles in the order in which they are served."""
    return tuple(sorted(titles, key=lambda title: (title.published_at, title.title_id), reverse=True))


def published(title: Title) -> PublishedTitle:
    """Sum a title up for what works on all of them."""
    return PublishedTitle(
        title_id=title.title_id,
        title=title.title,
        asset=title.asset,
        manifest_version=title.manifest_version,
        duration_seconds=title.duration_seconds,
        complete=title.complete,
        codecs=tuple(sorted({rung.codec.partition(".")[0] for rung in title.rungs})),
        pixels=sum(rung.width * rung.height for rung in title.rungs),
        bits_per_second=sum(rung.average_bandwidth for rung in title.rungs) / len(title.rungs),
    )


def validate(body: SnapshotBody) -> None:
    """Raise Conflict, naming the first title that could not be shown or played; what passes may be announced."""
    seen: set[str] = set()
    for title in body.titles:
        fault = _fault(title)
        if title.title_id in seen:
            fault = "stands there twice"
        if fault:
            raise Conflict(f"The catalogue was not published: title {title.title_id} ({title.title[:60]!r}) {fault}.")
        seen.add(title.title_id)
    if body.titles != newest_first(list(body.titles)):
        raise Conflict("The catalogue was not published: its titles are not in order.")
    if decode(encode(body)) != body:
        raise Conflict("The catalogue was not published: it does not read back as it was written.")


def _fault(title: Title) -> str:
    if not title.title:
        return "has no name"
    if not title.asset or title.manifest_version < 1:
        return "has no manifest"
    if not (math.isfinite(title.duration_seconds) and title.duration_seconds > 0):
        return f"lasts {title.duration_seconds} seconds"
    if not title.rungs or any(rung.width < 1 or rung.height < 1 for rung in title.rungs):
        return "has no rung with a picture"
    return ""


def snapshot_key(version: int) -> str:
    """Return the blob key of a snapshot version."""
    return f"snapshots/{version}.json"


def encode(body: SnapshotBody) -> bytes:
    """Return the snapshot as the JSON that is stored."""
    return msgspec.json.encode(body)


def decode(stored: bytes) -> SnapshotBody:
    """Read a stored snapshot. Raises msgspec.DecodeError when it is not one."""
    return msgspec.json.decode(stored, type=SnapshotBody)
