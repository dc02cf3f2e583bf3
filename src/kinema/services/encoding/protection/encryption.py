"""Encrypting verified tracks. What was encrypted is decrypted again and must be the clear track to the byte.

    clear track --encrypt--> encrypted track --decrypt--> clear track?

The step's key in the ledger has the clear track's digest and the id of the content key, never the key. The key is on disk only
while the packager runs, in a file that only we may read. Clear tracks that no manifest names go with garbage collection.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from kinema.core.ids import new_id
from kinema.core.properties import Property
from kinema.model.encoding import Track
from kinema.services.encoding.ledger import Ledger, Step
from kinema.services.encoding.packaging.command import ContentKey, StreamKind, decrypt, encrypt, key_file
from kinema.services.encoding.packaging.tracks import encrypted_track
from kinema.services.encoding.protection.tiers import tier_of
from kinema.services.encoding.tools import Tools, run
from kinema.services.encoding.verification import NotVerified
from kinema.storage.content import content_key, digest_of_file, fetch, store
from kinema.storage.ports import Blobs

PROTECTED = Property(
    "encoding.protected",
    default=False,
    description="Whether the tracks of films are encrypted before they are published. What is published stays as it is.",
)

_SECONDS = 3600.0
_REVISION = 1  # raise when the meaning of the step changes with the same parameters

KeyFor = Callable[[str], Awaitable[ContentKey]]
"""Returns the title's key of a tier (see `tiers`)."""


class Encryption:
    """Encrypts the tracks of one film. `source` is its digest; `scratch` a directory that only this user may enter."""

    def __init__(self, source: str, key_for: KeyFor, ledger: Ledger, blobs: Blobs, tools: Tools, scratch: Path) -> None:
        self._source = source
        self._key_for = key_for
        self._ledger = ledger
        self._blobs = blobs
        self._tools = tools
        self._scratch = scratch

    async def protect(self, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
        """Return the tracks with pictures and sound encrypted, each by the key of its tier; text and images as they are."""
        return tuple([await self._protected(track) for track in tracks])

    async def _protected(self, track: Track) -> Track:
        tier = tier_of(track)
        if not tier:
            return track
        key = await self._key_for(tier)
        parameters = (_REVISION, track, key.key_id)
        step = Step(name="encrypt", source=self._source, parameters=parameters, tools=self._tools.versions)
        return await self._ledger.once(step, Track, lambda: self._encrypt(track, key), _needs)

    async def _encrypt(self, track: Track, key: ContentKey) -> Track:
        clear = await fetch(self._blobs, content_key("media", track.digest), self._scratch / f"media-{track.digest}")
        kind: StreamKind = "video" if track.kind == "video" else "audio"
        output, again, keys = (self._scratch / f"{new_id('tmp')}.{suffix}" for suffix in ("mp4", "again.mp4", "keys"))
        try:
            await asyncio.to_thread(_write_secretly, keys, key_file(key))
            await run(encrypt(self._tools, clear, kind, output, self._scratch, keys), _SECONDS)
            described = await encrypted_track(output, track)
            await run(decrypt(self._tools, output, kind, again, self._scratch, keys), _SECONDS)
            if described.key_id != key.key_id or await digest_of_file(again) != track.digest:
                raise NotVerified(f"The track {track.name} is another one after encryption; upload the file again.")
            await store(self._blobs, "media", output)
            return described
        finally:
            for path in (output, again, keys):
                await asyncio.to_thread(path.unlink, missing_ok=True)


def _write_secretly(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _needs(track: Track) -> tuple[str, ...]:
    return (content_key("media", track.digest),)
