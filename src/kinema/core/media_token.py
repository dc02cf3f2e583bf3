"""The token in a media address: who may fetch which asset until when. It stands in the path, so relative addresses inherit it."""

import msgspec

from kinema.core.errors import Forbidden
from kinema.core.keys import KeyRing
from kinema.core.signing import BadSignature, sign, verify


class MediaToken(msgspec.Struct, frozen=True, array_like=True):
    """An asset's id, the account that plays it, the expiry in whole Unix seconds, and the play (empty in tokens of old).

    Edges look at nothing but asset and expiry; licences are given to a play.
    """

    asset: str
    member: str
    expires_at: int
    play: str = ""


_decoder = msgspec.json.Decoder(MediaToken)


def seal(token: MediaToken, keys: KeyRing) -> str:
    """Return the token as one path segment of about 160 characters."""
    return sign(msgspec.json.encode(token), keys.current("media"))


def unseal(text: str, keys: KeyRing, asset: str, now: float) -> MediaToken:
    """Return the token when it is ours, for this asset and not expired at `now`; else raise Forbidden, saying which."""
    try:
        token = _decoder.decode(verify(text, lambda key_id: keys.find("media", key_id)))
    except (BadSignature, msgspec.DecodeError) as error:
        raise Forbidden("The media address is not one that this service has signed; start the play again.") from error
    if token.asset != asset:
        raise Forbidden("The media address was signed for another asset; start the play again.")
    if token.expires_at <= now:
        raise Forbidden("The media address has expired; renew the play.")
    return token
