"""What `encoding` tells `playback` about the keys of protected films: sealed, so that no key is ever readable on the way."""

from typing import Annotated

import msgspec

from kinema.core.envelope import Sealed

KeyId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class SealedKey(msgspec.Struct, frozen=True):
    """A content key, sealed under its id: 16 bytes of AES key."""

    key_id: str
    sealed: Sealed


class SealedKeys(msgspec.Struct, frozen=True):
    """The content keys of one asset, of all its versions."""

    keys: tuple[SealedKey, ...]


def key_name(key_id: str) -> str:
    """Return the name under which a content key is sealed."""
    return f"content-key/{key_id}"
