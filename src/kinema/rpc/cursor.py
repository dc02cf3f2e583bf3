"""Cursors for pages: where the next page begins, signed, so that a client can only hand back what it was given."""

from typing import TypeVar

import msgspec

from kinema.core.errors import BadInput
from kinema.core.keys import KeyRing
from kinema.core.signing import BadSignature, sign, verify

T = TypeVar("T", bound=msgspec.Struct)


def encode_cursor(keys: KeyRing, position: msgspec.Struct) -> str:
    """Return a position as an opaque text that fits into a query parameter."""
    return sign(msgspec.json.encode(position), keys.current("cursor"))


def decode_cursor(keys: KeyRing, text: str, kind: type[T]) -> T:
    """Return the position of a cursor. Raises BadInput when we did not make it, or made it for something else."""
    try:
        return msgspec.json.decode(verify(text, lambda key_id: keys.find("cursor", key_id)), type=kind)
    except (BadSignature, msgspec.DecodeError) as error:
        raise BadInput("The cursor is not one that this service gave; begin again without a cursor.") from error
