"""Licences: the keys of a protected title for a play that may show it, by the W3C's ClearKey format.

A request names keys (Encrypted Media Extensions, 9.1.3: a JSON object with `kids`, base64url without padding); the answer is
a JWK set of those that belong to the tracks which this play's device is offered: who plays on a small screen gets no key of
the 4K rungs. Keys come sealed from encoding, are opened here and go nowhere but into the answer. Each licence is
written down before it is given, so a key that turns up somewhere leads to the plays that had it.

Widevine and FairPlay would be further formats of the same decision: `grant` says which keys a play gets, a licence server of theirs
is handed these instead of a JWK set (for Widevine by its proxy protocol, for FairPlay as the CKC's payload), and the manifests
name the system beside ClearKey. Both need contracts and credentials of their vendors.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cachebox import LRUCache

from kinema.core import media_token
from kinema.core.clock import Clock
from kinema.core.envelope import unseal
from kinema.core.errors import BadInput, Forbidden, NotFound, Unavailable
from kinema.core.ids import new_id
from kinema.core.keys import KeyRing
from kinema.model.playback import IssuedLicence
from kinema.model.protection import SealedKey, SealedKeys, key_name
from kinema.services.playback.calls import Calls
from kinema.services.playback.manifests import Manifests
from kinema.services.playback.repository import PlayRepository
from kinema.services.playback.selection import select

_KEPT = 4096  # sealed keys

Text22 = Annotated[str, msgspec.Meta(max_length=64)]


class LicenceRequest(msgspec.Struct, frozen=True):
    """What a browser's decryption module asks: the ids of keys, in base64url without padding."""

    kids: Annotated[tuple[Text22, ...], msgspec.Meta(min_length=1, max_length=32)]
    type: str = "temporary"


class JsonWebKey(msgspec.Struct, frozen=True):
    """A key and its id, both in base64url without padding (RFC 7517 and RFC 7518, 6.4)."""

    k: str
    kid: str
    kty: str = "oct"


class Licence(msgspec.Struct, frozen=True):
    """The answer: a JWK set, for this session only."""

    keys: tuple[JsonWebKey, ...]
    type: str = "temporary"


class Licences:
    """Decides which keys a play gets, and hands them out."""

    def __init__(
        self, repository: PlayRepository, manifests: Manifests, keys: KeyRing, clock: Clock, calls: Calls
    ) -> None:
        self._repository = repository
        self._manifests = manifests
        self._keys = keys
        self._clock = clock
        self._calls = calls
        self._sealed: LRUCache[str, SealedKey] = LRUCache(_KEPT)

    async def clear_key(self, token: str, asset: str, version: int, request: LicenceRequest) -> Licence:
        """Answer a ClearKey request. Raises what `grant` raises, and BadInput for an id that is none."""
        granted = await self.grant(token, asset, version, [_key_id(kid) for kid in request.kids])
        keys = tuple(JsonWebKey(k=_encode(key), kid=_encode(bytes.fromhex(key_id))) for key_id, key in granted.items())
        return Licence(keys)

    async def grant(self, token: str, asset: str, version: int, asked: Sequence[str]) -> dict[str, bytes]:
        """Return those of the keys that this play may have, by their ids (32 hexadecimal digits); write it down first.

        Raises Forbidden when the token is not ours or expired, when its play is over or another version's, or when it may have none
        of the keys, and Unavailable when they cannot be had from encoding.
        """
        granted = media_token.unseal(token, self._keys, asset, self._clock.now())
        try:
            play = await self._repository.get(granted.play)
        except NotFound as error:
            raise Forbidden("The play of this licence is over; start a new one.") from error
        if (play.asset, play.version) != (asset, version):
            raise Forbidden("This play is of another version; ask with the address that its manifest names.")
        offered = select(await self._manifests.get(asset, version), play.device)
        theirs = {track.key_id for track in (*offered.video, *offered.audio) if track.key_id}
        mine = [key_id for key_id in dict.fromkeys(asked) if key_id in theirs]
        if not mine:
            raise Forbidden("These keys are of no track that this play may show; ask for those of its manifest.")
        keys = await self._open(asset, mine)
        issued = IssuedLicence(
            licence_id=new_id("lic", self._clock),
            play_id=play.play_id,
            account=play.account,
            asset=asset,
            version=version,
            key_ids=tuple(mine),
            issued_at=self._clock.now(),
        )
        await self._repository.add_licence(issued)
        return keys

    async def _open(self, asset: str, key_ids: Sequence[str]) -> dict[str, bytes]:
        if any(key_id not in self._sealed for key_id in key_ids):
            path = f"/v1/internal/assets/{asset}/keys"
            for one in (await self._calls.call("encoding", "GET", path, type=SealedKeys)).keys:
                self._sealed[one.key_id] = one
        opened: dict[str, bytes] = {}
        for key_id in key_ids:
            found = self._sealed.get(key_id)
            if found is None:
                raise Unavailable("A key of this title is not in the region's key store; restore encoding's database.")
            opened[key_id] = unseal(found.sealed, key_name(key_id), self._keys)
        return opened


def _key_id(kid: str) -> str:
    try:
        raw = base64.b64decode(kid + "=" * (-len(kid) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"{kid!r} is no id of a key; send 16 bytes in base64url.") from error
    if len(raw) != 16:
        raise BadInput(f"{kid!r} is no id of a key; send 16 bytes in base64url.")
    return raw.hex()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
