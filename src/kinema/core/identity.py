"""Who asks: the identity that the gateway seals onto a request and that every service verifies again."""

from typing import Literal

import msgspec

from kinema.core.errors import Forbidden, Unauthenticated
from kinema.core.keys import KeyRing
from kinema.core.signing import BadSignature, sign, verify

HEADER = "x-kinema-identity"
LIFETIME_SECONDS = 60.0

Role = Literal["viewer", "operator", "service"]
_RANK: dict[Role, int] = {"viewer": 0, "operator": 1, "service": 2}


class Identity(msgspec.Struct, frozen=True):
    """An account (or, with role service, an instance name), its role, and until when this statement holds (Unix seconds)."""

    account: str
    role: Role
    session: str
    expires_at: float

    def require(self, role: Role) -> None:
        """Raise Forbidden unless this identity has at least the role."""
        if _RANK[self.role] < _RANK[role]:
            raise Forbidden(f"This needs the role {role}; you are signed in as {self.role}. Ask the operator.")


_decoder = msgspec.json.Decoder(Identity)


def seal(identity: Identity, keys: KeyRing) -> str:
    """Return the identity as a signed header value."""
    return sign(msgspec.json.encode(identity), keys.current("identity"))


def unseal(text: str, keys: KeyRing, now: float) -> Identity:
    """Return the identity of a header value. Raises Unauthenticated when it is forged, broken or expired at `now`."""
    try:
        identity = _decoder.decode(verify(text, lambda key_id: keys.find("identity", key_id)))
    except (BadSignature, msgspec.DecodeError) as error:
        raise Unauthenticated("The request carries no valid identity; go through the gateway.") from error
    if identity.expires_at <= now:
        raise Unauthenticated("The request's identity has expired; send the request again through the gateway.")
    return identity


def service_identity(instance: str, now: float) -> Identity:
    """Return the identity with which an instance calls another service on its own behalf."""
    return Identity(account=instance, role="service", session="", expires_at=now + LIFETIME_SECONDS)
