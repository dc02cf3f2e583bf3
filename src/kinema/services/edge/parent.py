"""Where an edge gets what it does not have. The origin's blobs now; other edges (tiers) fit the same two methods."""

from collections.abc import AsyncIterator
from typing import Protocol

from kinema.core.errors import NotFound
from kinema.model.encoding import manifest_key
from kinema.storage.content import content_key, read_all
from kinema.storage.ports import Blobs


class Parent(Protocol):
    """The next node towards the origin."""

    async def manifest(self, asset: str, version: int) -> bytes:
        """Return a stored manifest. Raises NotFound when there is no such version."""
        ...

    def fetch(self, digest: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Iterate over bytes of the media blob with this digest."""
        ...


class BlobsParent:
    """The origin itself: the region's Blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def manifest(self, asset: str, version: int) -> bytes:
        """Return a stored manifest. Raises NotFound when there is no such version."""
        try:
            return await read_all(self._blobs, manifest_key(asset, version))
        except NotFound as error:
            raise NotFound(f"Version {version} of {asset} is not stored; start the play again.") from error

    def fetch(self, digest: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Iterate over bytes of the media blob with this digest."""
        return self._blobs.get(content_key("media", digest), start, length)
