"""Which request paths are let in: those that every part behind us reads in the same way.

A path is refused rather than repaired. Dot segments, empty segments, encoded slashes and backslashes, control characters
and broken percent-escapes are what attacks on a proxy are made of: two parsers that disagree about where a path leads.
"""

import re
from urllib.parse import unquote_to_bytes

from kinema.core.errors import BadInput

_UNRESERVED = r"A-Za-z0-9_~!$&'()*+,;=:@-"
_PLAIN = re.compile(rf"(?:/[{_UNRESERVED}][.{_UNRESERVED}]*)+/?|/")
_ALLOWED = re.compile(rf"(?:[/.{_UNRESERVED}]|%[0-9A-Fa-f]{{2}})*")
_UNCLEAR = re.compile(rb"[\x00-\x1f\x7f/\\]")


def check_path(path: str) -> None:
    """Raise BadInput unless the path (still percent-encoded, without query) means the same to everybody."""
    if _PLAIN.fullmatch(path):
        return
    segments = path.split("/")
    if not path.startswith("/") or not _ALLOWED.fullmatch(path) or "" in segments[1:-1]:
        raise _refusal(path)
    for segment in segments[1:]:
        decoded = unquote_to_bytes(segment)
        if decoded in {b".", b".."} or _UNCLEAR.search(decoded):
            raise _refusal(path)


def _refusal(path: str) -> BadInput:
    return BadInput(f"The path {path[:200]!r} is not a plain one; send it without dot segments and encoded slashes.")
