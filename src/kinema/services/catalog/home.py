"""The home page from the published titles. Pure.

Each shelf is a row, newest titles first. The shelf "New" stands on top; the others follow in the order in which their first
title appeared, so that rows do not change places while a catalogue fills. On the billboard stands the newest title that has
a picture for it, else the newest.
"""

from collections.abc import Sequence

from kinema.model.catalog import Home, Row, Title

_TOP_SHELF = "New"
_ROW_LENGTH = 60


def arrange(version: int, titles: Sequence[Title]) -> Home:
    """Return the home page; `titles` are newest first."""
    shelves: dict[str, list[Title]] = {}
    for title in reversed(titles):  # oldest first: a shelf's place is that of its first title
        shelves.setdefault(title.shelf, []).append(title)
    rows = [
        Row(name=shelf, titles=tuple(reversed(standing[-_ROW_LENGTH:])))
        for shelf, standing in sorted(shelves.items(), key=lambda entry: entry[0] != _TOP_SHELF)
    ]
    billboard = next((title for title in titles if title.billboard), titles[0] if titles else None)
    return Home(version=version, billboard=billboard, rows=tuple(rows))
