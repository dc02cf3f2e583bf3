"""What a media request asks for: the parts of its path, and its byte range. Pure.

Everything is checked before anything is looked up: an id that could not be one of ours is simply not found.
"""

import re
from typing import NamedTuple

from kinema.core.errors import KinemaError
from kinema.model.encoding import ENDINGS

_PATH = re.compile(
    r"/m/(?P<token>[A-Za-z0-9._-]{1,2048})/(?P<asset>[a-z0-9][a-z0-9_-]{0,63})/(?P<version>[1-9][0-9]{0,8})"
    r"/(?P<track>[a-z0-9][a-z0-9._-]{0,99})",
    re.ASCII,
)
_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


class MediaPath(NamedTuple):
    """`/m/{token}/{asset}/{version}/{track}[.mp4|.vtt|.jpg]`, taken apart."""

    token: str
    asset: str
    version: int
    track: str


class RangeNotSatisfiable(KinemaError):
    """A range begins behind the end of what it is a range of."""

    status = 416
    code = "range-not-satisfiable"
    title = "There are no such bytes"


def parse_path(path: str) -> MediaPath | None:
    """Take a path apart; None when it is no media path.

    The track may end in `.mp4`, `.vtt` or `.jpg`, which is no part of its name: some players refuse addresses that do not look like media.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    name = found["track"]
    track = name[:-4] if name.endswith(ENDINGS) else name
    return MediaPath(found["token"], found["asset"], int(found["version"]), track)


def parse_range(value: bytes, size: int) -> tuple[int, int] | None:
    """Return the first byte and the byte after the last that a Range field asks for, of `size` bytes.

    None when the field is to be ignored, as RFC 9110 (14.2) allows for several ranges and demands for what is
    malformed. Raises RangeNotSatisfiable when there are no such bytes.
    """
    found = _RANGE.fullmatch(value)
    if found is None:
        return None
    first, last = found.groups()
    if first:
        start = int(first)
        end = int(last) + 1 if last else size
        if last and end <= start:
            return None
    elif last:
        start = max(size - int(last), 0)
        end = size if int(last) else start  # the last 0 bytes are none
    else:
        return None
    end = min(end, size)
    if start >= end:
        raise RangeNotSatisfiable(f"The track has {size} bytes; ask for a range within them.")
    return start, end


def names_etag(value: bytes, etag: bytes) -> bool:
    """Whether an If-Match or If-None-Match field names this entity tag. Ours are strong and never change."""
    return value.strip() == b"*" or any(tag.strip().removeprefix(b"W/") == etag for tag in value.split(b","))
