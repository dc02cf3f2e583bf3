"""Pictures by their content: stored once, whoever has them, and read back with the type that their bytes give away."""

from kinema.core.errors import NotFound, Unsupported
from kinema.services.catalog import pictures
from kinema.storage import content
from kinema.storage.ports import Blobs

ARTWORK_PREFIX = "artwork"


class Gallery:
    """Reads and stores pictures."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def get(self, digest: str) -> tuple[bytes, str]:
        """Return a picture and its media type. Raises NotFound, BadInput for what is no digest, Unsupported for no picture."""
        try:
            body = await content.read_all(self._blobs, content.content_key(ARTWORK_PREFIX, digest))
        except NotFound as error:
            raise NotFound("There is no such picture; load the page again.") from error
        media_type = pictures.media_type_of(body)
        if media_type is None:
            raise Unsupported("What is stored under this address is not a picture.")
        return body, media_type

    async def store(self, body: bytes) -> str:
        """Store a picture under its digest and return that; stored already is fine."""
        return await content.store(self._blobs, ARTWORK_PREFIX, body)
