"""From the parts of an upload to one film among the `sources/`, named by its digest."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator

import sqlalchemy as sa

from kinema.core.errors import Gone, NotFound
from kinema.services.encoding.tables import upload_parts, uploads
from kinema.services.encoding.uploads import delete_parts
from kinema.storage.content import content_key
from kinema.storage.ports import AlreadyExists, Blobs, Sql


async def assemble(sql: Sql, blobs: Blobs, upload_id: str) -> str:
    """Join an upload's parts into a source and return its digest; repeating it gives the same. Raises Gone without parts."""
    mine = upload_parts.c.upload_id == upload_id
    async with sql.read() as connection:
        query = sa.select(upload_parts.c.key).where(mine).order_by(upload_parts.c.start)
        keys = list((await connection.scalars(query)).all())
    if not keys:
        raise Gone("The film of this job is no longer stored; upload the file again.")
    digest = hashlib.sha256()
    try:
        async for chunk in _joined(blobs, keys):
            await asyncio.to_thread(digest.update, chunk)
        await blobs.put(content_key("sources", digest.hexdigest()), _joined(blobs, keys))
    except AlreadyExists:
        pass
    except NotFound as error:
        raise Gone("A part of this job's film is missing; upload the file again.") from error
    return digest.hexdigest()


async def drop_parts(sql: Sql, blobs: Blobs, upload_id: str) -> None:
    """Delete the parts of an upload that was assembled."""
    async with sql.transaction() as connection:
        await connection.execute(sa.delete(upload_parts).where(upload_parts.c.upload_id == upload_id))
        await connection.execute(sa.update(uploads).where(uploads.c.upload_id == upload_id).values(state="assembled"))
    await delete_parts(blobs, upload_id)


async def _joined(blobs: Blobs, keys: list[str]) -> AsyncGenerator[bytes]:
    for key in keys:
        async for chunk in blobs.get(key):
            yield chunk
