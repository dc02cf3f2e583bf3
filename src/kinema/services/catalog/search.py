"""Finding and paging titles in memory. Pure.

A query's words must all be found: each at the beginning of a word of the title's texts, without regard to case and accents.
Titles whose name holds all of them come first, the newest first among equals. A page is told by the position of its
last title, so it stays right when titles come and go between two requests.
"""

import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from kinema.model.catalog import Title


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the rank of its last title and what orders titles of one rank."""

    rank: int
    published_at: str
    title_id: str


class Found(msgspec.Struct, frozen=True):
    """A page of titles, and where the next one begins (None: there is none)."""

    titles: tuple[Title, ...]
    next: Position | None


def words_of(title: Title) -> tuple[str, str]:
    """Return a title's name, and all of its texts, in the form that `find` searches: each word after a space."""
    everything = (title.title, title.synopsis, *title.genres, title.shelf, title.credits, str(title.year or ""))
    return _folded(title.title), _folded(" ".join(everything))


def find(
    titles: Sequence[Title], words: Sequence[tuple[str, str]], query: str, after: Position | None, limit: int
) -> Found:
    """Return the page of at most `limit` titles that comes after a position; `titles` are newest first."""
    wanted = [f" {word}" for word in _folded(query).split()]
    if query.strip() and not wanted:  # nothing but punctuation: it is in no text as it is searched
        return Found((), None)
    page: list[tuple[int, Title]] = []
    for rank in (0, 1) if wanted else (0,):
        for title in _of_rank(titles, words, wanted, rank):
            if after is not None and not _comes_after(rank, title, after):
                continue
            if len(page) == limit:
                last_rank, last = page[-1]
                return Found(tuple(entry for _, entry in page), Position(last_rank, last.published_at, last.title_id))
            page.append((rank, title))
    return Found(tuple(entry for _, entry in page), None)


def _of_rank(
    titles: Sequence[Title], words: Sequence[tuple[str, str]], wanted: list[str], rank: int
) -> Iterator[Title]:
    for title, (name, everything) in zip(titles, words, strict=True):
        in_name = all(word in name for word in wanted)
        if in_name if rank == 0 else not in_name and all(word in everything for word in wanted):
            yield title


def _comes_after(rank: int, title: Title, position: Position) -> bool:
    if rank != position.rank:
        return rank > position.rank
    return (title.published_at, title.title_id) < (position.published_at, position.title_id)


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = (letter if letter.isalnum() else " " for letter in decomposed if not unicodedata.combining(letter))
    return " " + " ".join("".join(kept).split())
