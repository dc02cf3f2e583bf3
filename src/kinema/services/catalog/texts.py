"""What people write about titles, made safe to show: one line each, without control characters, within limits. Pure."""

import unicodedata

from kinema.core.errors import BadInput
from kinema.model.catalog import TitleDetails

TITLE_LENGTH = 300
_SYNOPSIS_LENGTH = 4000
_CREDITS_LENGTH = 4000
_SHELF_LENGTH = 100
_GENRE_LENGTH = 50
_GENRES = 20
_REASON_LENGTH = 1000
_YEARS = range(1870, 2201)  # the first moving pictures were taken in the 1870s


def one_line(text: str) -> str:
    """Return the text in NFC, with each run of white space or control characters made one space, trimmed."""
    shown = (" " if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in text)
    return " ".join(unicodedata.normalize("NFC", "".join(shown)).split())


def clean(details: TitleDetails) -> TitleDetails:
    """Return the details as they are stored. Raises BadInput, naming the part that is empty or too long."""
    if details.year is not None and details.year not in _YEARS:
        raise BadInput(
            f"The year {details.year} is not between {_YEARS[0]} and {_YEARS[-1]}; correct it or leave it out."
        )
    genres = tuple(dict.fromkeys(_within("genre", genre, _GENRE_LENGTH) for genre in details.genres))
    if len(genres) > _GENRES:
        raise BadInput(f"There are {len(genres)} genres; give at most {_GENRES}.")
    title = _within("title", details.title, TITLE_LENGTH)
    if not title:
        raise BadInput("The title is empty; give the film a name.")
    return TitleDetails(
        title=title,
        synopsis=_within("synopsis", details.synopsis, _SYNOPSIS_LENGTH),
        year=details.year,
        genres=tuple(genre for genre in genres if genre),
        shelf=_within("shelf", details.shelf, _SHELF_LENGTH) or "New",
        credits=_within("credits", details.credits, _CREDITS_LENGTH),
    )


def reason(text: str) -> str:
    """Return why something was done, as it is stored. Raises BadInput when it is too long."""
    return _within("reason", text, _REASON_LENGTH)


def _within(part: str, text: str, limit: int) -> str:
    line = one_line(text)
    if len(line) > limit:
        raise BadInput(f"The {part} has {len(line)} characters; shorten it to {limit} at most.")
    return line
