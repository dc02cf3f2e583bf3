"""Secrets that people and scripts carry: 256 random bits, of which only the SHA-256 is stored.

A fast digest is enough for these (unlike for passwords): there is nothing to guess in 256 random bits.
"""

import secrets

from kinema.core.ids import content_digest

TOKEN_PREFIX = "kin_"  # noqa: S105 -- no secret: it marks bearer tokens, so that scanners find leaked ones
_LONGEST = 128  # characters; ours have 43 or 47


def new_secret() -> str:
    """Return a new secret of a session or a claim: 43 characters that fit into a cookie and an address."""
    return secrets.token_urlsafe(32)


def new_bearer() -> str:
    """Return a new bearer token: `kin_` and 43 characters."""
    return TOKEN_PREFIX + new_secret()


def is_bearer(secret: str) -> bool:
    """Say whether the secret has the form of a bearer token, else it is one of a session."""
    return secret.startswith(TOKEN_PREFIX)


def digest(secret: str) -> str:
    """Return what is stored of a secret. What is too long to be one of ours is cut before it is digested."""
    return content_digest(secret[:_LONGEST].encode("utf-8", "surrogatepass"))
