"""Which names and passwords may be chosen. Pure."""

import unicodedata

from kinema.core.errors import BadInput

_LONGEST_NAME = 64
_SHORTEST_PASSWORD = 8
_LONGEST_PASSWORD = 256


def check_name(name: str) -> tuple[str, str]:
    """Return the name as it is shown and as it is compared (NFKC, case folded). Raises BadInput."""
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    if not 1 <= len(shown) <= _LONGEST_NAME or not shown.isprintable():
        raise BadInput(f"A name has 1 to {_LONGEST_NAME} printable characters; choose another one.")
    return shown, name_key(shown)


def name_key(name: str) -> str:
    """Return the form in which names are compared, so that "Ada" and "ada" are one."""
    return " ".join(unicodedata.normalize("NFKC", name[: 4 * _LONGEST_NAME]).casefold().split())[: 4 * _LONGEST_NAME]


def check_password(password: str) -> None:
    """Raise BadInput when the password is too short or too long to be accepted."""
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise BadInput(f"A password has {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters; choose another one.")
