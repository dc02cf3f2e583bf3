"""Signed texts that fit into a path or a header: `payload.key_id.mac`.

The payload is base64url without padding, the mac the first 16 bytes of HMAC-SHA-256 (RFC 2104; truncation to half the
digest per RFC 2104 section 5) over `payload.key_id`, also base64url. The key id is inside the mac, so it cannot be swapped.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

from kinema.core.keys import Key

_MAC_BYTES = 16
LONGEST = 2048  # characters; ours are about 200


class BadSignature(ValueError):
    """A text is not one that we signed with a key that we still hold."""


def sign(payload: bytes, key: Key) -> str:
    """Return the signed text for these bytes."""
    head = f"{_encode(payload)}.{key.id}"
    return f"{head}.{_encode(_mac(head, key))}"


def verify(text: str, find: Callable[[str], Key | None]) -> bytes:
    """Return the payload of a signed text; `find` looks a key id up. Compares in constant time. Raises BadSignature."""
    parts = text.split(".") if len(text) <= LONGEST else ()
    if len(parts) != 3 or not text.isascii():
        raise BadSignature("The text has not the form payload.key.mac.")
    key = find(parts[1])
    if key is None:
        raise BadSignature("The key that signed the text is not known here.")
    if not hmac.compare_digest(_encode(_mac(f"{parts[0]}.{parts[1]}", key)), parts[2]):
        raise BadSignature("The signature does not match the text.")
    return _decode(parts[0])


def _mac(head: str, key: Key) -> bytes:
    return hmac.digest(key.secret, head.encode(), hashlib.sha256)[:_MAC_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise BadSignature("The payload is not base64url.") from error
