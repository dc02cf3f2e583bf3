"""Manifests as playback reads them: immutable, so the most recently used ones stay decoded in memory and never expire.

What is not there is read through the region's cache, whose copies spare Blobs the readers of other processes, and decoded once
for all who ask at the same moment: at a premiere these are many.
"""

import asyncio

from cachebox import LRUCache

from kinema.core.errors import NotFound
from kinema.core.single_flight import SingleFlight
from kinema.model.encoding import Manifest, decode_manifest, manifest_key
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.content import read_all
from kinema.storage.ports import Blobs

_KEPT = 64  # decoded manifests; one of a two-hour film with eight tracks takes about 4 MB
_LARGE_BYTES = 128 * 1024  # above this, decoding takes milliseconds and leaves the event loop
_CACHED_SECONDS = 3600.0


class Manifests:
    """Looks manifests up by asset and version."""

    def __init__(self, blobs: Blobs, cache: LoadingCache) -> None:
        self._blobs = blobs
        self._cache = cache
        self._decoded: LRUCache[tuple[str, int], Manifest] = LRUCache(_KEPT)
        self._flights: SingleFlight[tuple[str, int], Manifest] = SingleFlight()

    async def get(self, asset: str, version: int) -> Manifest:
        """Return a manifest. Raises NotFound when this version is not, or no longer, stored."""
        decoded = self._decoded.get((asset, version))
        if decoded is not None:
            return decoded
        return await self._flights.run((asset, version), lambda: self._read(asset, version))

    async def _read(self, asset: str, version: int) -> Manifest:
        async def load() -> bytes:
            return await read_all(self._blobs, manifest_key(asset, version))

        try:
            body = await self._cache.get_or_load(f"{asset}/{version}", load, _CACHED_SECONDS)
        except NotFound as error:  # not remembered: it may be stored in a moment
            raise NotFound(f"Version {version} of {asset} is not stored; start the play again.") from error
        assert body is not None  # load returns none
        manifest = await asyncio.to_thread(decode_manifest, body) if len(body) > _LARGE_BYTES else decode_manifest(body)
        self._decoded[asset, version] = manifest
        return manifest

    async def stored(self, asset: str, version: int) -> bool:
        """Say whether the version is among the blobs now, whatever is in memory."""
        try:
            await self._blobs.size(manifest_key(asset, version))
        except NotFound:
            return False
        return True
