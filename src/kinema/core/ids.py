"""Names for things: ids that sort by the time they were made, and digests of contents."""

import hashlib
import os
import re
from collections.abc import Callable

from kinema.core.clock import Clock, SystemClock
from kinema.core.errors import BadInput

# Crockford's alphabet in lower case: no i, l, o, u, so an id read aloud is not misheard.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(r"[a-z]{2,12}_[0-9a-z]{26}")
_SYSTEM_CLOCK = SystemClock()


def new_id(prefix: str, clock: Clock = _SYSTEM_CLOCK, random: Callable[[int], bytes] = os.urandom) -> str:
    """Return `prefix_` and 26 characters: 48 bits of milliseconds, then 80 random bits (the layout of ULID).

    Ids with one prefix sort by the millisecond in which they were made.
    """
    number = int(clock.now() * 1000) << 80 | int.from_bytes(random(10), "big")
    return f"{prefix}_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def check_id(text: str, prefix: str) -> str:
    """Return `text` when it has the form of an id with this prefix, else raise BadInput."""
    if not _ID.fullmatch(text) or not text.startswith(prefix + "_"):
        raise BadInput(
            f"{text[:60]!r} is not an id of the form {prefix}_... with 26 letters and digits; copy it whole."
        )
    return text


def content_digest(body: bytes | memoryview) -> str:
    """Return the SHA-256 of the bytes as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()
