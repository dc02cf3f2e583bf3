"""Manifests as playback reads them: from Blobs, immutable, the most recently used ones kept decoded in memory."""

import asyncio

from cachebox import LRUCache

from kinema.core.errors import NotFound
from kinema.model.encoding import Manifest, decode_manifest, manifest_key
from kinema.storage.content import read_all
from kinema.storage.ports import Blobs

_KEPT = 64  # decoded manifests; one of a two-hour film with eight tracks takes about 4 MB
_LARGE_BYTES = 128 * 1024  # above this, decoding takes milliseconds and leaves the event loop


class Manifests:
    """Looks manifests up by asset and version."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._cache: LRUCache[tuple[str, int], Manifest] = LRUCache(_KEPT)

    async def get(self, asset: str, version: int) -> Manifest:
        """Return a manifest. Raises NotFound when this version is not, or no longer, stored."""
        cached = self._cache.get((asset, version))
        if cached is not None:
            return cached
        try:
            body = await read_all(self._blobs, manifest_key(asset, version))
        except NotFound as error:
            raise NotFound(f"Version {version} of {asset} is not stored; start the play again.") from error
        manifest = await asyncio.to_thread(decode_manifest, body) if len(body) > _LARGE_BYTES else decode_manifest(body)
        self._cache[asset, version] = manifest
        return manifest

    async def stored(self, asset: str, version: int) -> bool:
        """Say whether the version is among the blobs now, whatever is in memory."""
        try:
            await self._blobs.size(manifest_key(asset, version))
        except NotFound:
            return False
        return True
