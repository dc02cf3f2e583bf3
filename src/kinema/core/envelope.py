"""Secrets sealed by a key of the region's, so that a database, its backups and a wire between services hold none that can be read.

Envelope encryption: AES-256-GCM (NIST SP 800-38D) under the newest key of the purpose `content`, with a fresh nonce of 12
bytes before the ciphertext. The secret's name is authenticated with it, so that one sealed secret cannot be put in another's place.
Rotating the region's key costs nothing at once: what older keys have sealed opens as before and is sealed anew when somebody likes.
"""

import os

import msgspec

from kinema.core.errors import KinemaError
from kinema.core.keys import KeyRing

_NONCE = 12


class SealBroken(KinemaError):
    """A sealed secret cannot be opened."""


class Sealed(msgspec.Struct, frozen=True):
    """A secret that only the region can read: the id of the key that sealed it, and nonce and ciphertext."""

    by: str
    box: bytes


def seal(secret: bytes, name: str, keys: KeyRing) -> Sealed:
    """Seal a secret under the region's newest key; only `unseal` with the same name opens it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = keys.current("content")
    nonce = os.urandom(_NONCE)
    return Sealed(key.id, nonce + AESGCM(key.secret).encrypt(nonce, secret, name.encode()))


def unseal(sealed: Sealed, name: str, keys: KeyRing) -> bytes:
    """Return the secret. Raises SealBroken when the region's key is gone or the secret is not what was sealed under this name."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = keys.find("content", sealed.by)
    if key is None:
        raise SealBroken(f"The region's key {sealed.by}, which sealed {name}, is gone; restore keys/content.json.")
    try:
        return AESGCM(key.secret).decrypt(sealed.box[:_NONCE], sealed.box[_NONCE:], name.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(f"The sealed secret {name} was changed; restore the database from a backup.") from error
