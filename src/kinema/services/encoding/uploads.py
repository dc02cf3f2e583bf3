"""Uploads: bytes that arrive in any number of requests, at either instance, and survive the death of both.

A request's bytes are cut into parts. A part is put among the blobs first, then a row is committed that names it and
moves the offset; what the offset says has arrived is therefore always there, and a killed instance loses at most the
part that was in its memory. One request writes at a time: it holds the upload by a short lease that it renews while
bytes come in, and commits only while it still holds it. Part keys carry the writer's name, so two writers that
overlap for a moment never touch one blob.
"""

import hashlib
from collections.abc import AsyncIterator

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Conflict, Gone, NotFound, StorageFull, TooLarge
from kinema.core.ids import new_id
from kinema.services.encoding.job_rows import queue_job
from kinema.services.encoding.tables import upload_parts, uploads
from kinema.services.encoding.tus import Checksum, FilmMetadata
from kinema.storage.ports import Blobs, Sql

PART_BYTES = 8 << 20
EXPIRY_SECONDS = 24 * 3600.0
_WRITER_SECONDS = 3.0
_RENEW_SECONDS = 1.0


class Upload(msgspec.Struct, frozen=True):
    """An upload as it stands: bytes announced, bytes stored, and when it is forgotten unless more come (Unix seconds)."""

    upload_id: str
    title_id: str
    length: int
    offset: int
    expires_at: float


class Uploads:
    """Creates, fills and ends uploads. `limit` is the largest file taken, in bytes."""

    def __init__(self, sql: Sql, blobs: Blobs, clock: Clock, limit: int) -> None:
        self.limit = limit
        self._sql = sql
        self._blobs = blobs
        self._clock = clock

    async def create(self, account: str, length: int, film: FilmMetadata, key: str | None = None) -> Upload:
        """Begin an upload, or return the one that this account began with this key: its id is made of both.

        Raises TooLarge over the limit, BadInput for an empty file, Conflict when the key began another film's upload and
        Gone when that has expired.
        """
        if length > self.limit:
            raise TooLarge(f"The file has {length} bytes; at most {self.limit} are taken (setting upload_limit_bytes).")
        if length == 0:
            raise BadInput("The file is empty (0 bytes); choose another one.")
        now = self._clock.now()
        row = {
            "upload_id": new_id("upl", self._clock) if key is None else _id_of(account, key),
            "title_id": film.title_id or new_id("ttl", self._clock),
            "title": film.title,
            "filename": film.filename,
            "account": account,
            "state": "open",
            "length": length,
            "offset": 0,
            "writer_until": 0.0,
            "created_at": now,
            "expires_at": now + EXPIRY_SECONDS,
        }
        same = sa.select(uploads.c.length, uploads.c.title).where(uploads.c.upload_id == row["upload_id"])
        async with self._sql.transaction() as connection:
            begun = (await connection.execute(same)).one_or_none()
            if begun is None:
                await connection.execute(sa.insert(uploads).values(row))
            elif (begun.length, begun.title) != (length, film.title):
                raise Conflict("This Idempotency-Key began the upload of another film; use a new key for each.")
        return await self.get(str(row["upload_id"]))

    async def get(self, upload_id: str) -> Upload:
        """Return how far an upload is. Raises NotFound, and Gone when it has expired."""
        async with self._sql.read() as connection:
            return _upload(await self._row(connection, upload_id))

    async def append(
        self, upload_id: str, offset: int, announced: int | None, body: AsyncIterator[bytes], checksum: Checksum | None
    ) -> Upload:
        """Add a request's bytes at `offset`; `announced` is its Content-Length. Returns the upload as it stands then.

        When the body breaks off, what has arrived is kept (unless there is a checksum to hold it against) and the body's
        error is raised. Raises Conflict when the offset is another one or somebody else is writing, TooLarge for more
        bytes than the upload has, ChecksumMismatch, StorageFull.
        """
        writer = new_id("wrt", self._clock)
        length = await self._begin(upload_id, writer, offset, announced)
        filling = _Filling(self._sql, self._blobs, self._clock, upload_id, writer, offset, length)
        try:
            await filling.take(body, checksum)
        finally:
            await filling.end()
        return await self.get(upload_id)

    async def terminate(self, upload_id: str) -> None:
        """Forget an upload and its bytes. Raises NotFound, and Conflict when it is complete: then it is a job's."""
        async with self._sql.transaction() as connection:
            row = await self._row(connection, upload_id)
            if row.state != "open":
                raise Conflict("The upload is complete and its film is being made; cancel its job instead.")
            await forget(connection, upload_id)
        await delete_parts(self._blobs, upload_id)

    async def _begin(self, upload_id: str, writer: str, offset: int, announced: int | None) -> int:
        """Take the writer's lease; return the upload's length."""
        async with self._sql.transaction() as connection:
            row = await self._row(connection, upload_id)
            now = self._clock.now()
            if row.state == "open" and row.writer is not None and row.writer_until > now:
                raise Conflict("Another request is sending bytes of this upload; ask for the offset again in a moment.")
            if offset != row.offset:
                raise Conflict(f"The upload continues at byte {row.offset}, not {offset}; ask for the offset by HEAD.")
            if announced is not None and offset + announced > row.length:
                raise TooLarge(f"The upload has {row.length} bytes; this request would make it {offset + announced}.")
            if row.state == "open":
                values = {"writer": writer, "writer_until": now + _WRITER_SECONDS}
                await connection.execute(sa.update(uploads).where(uploads.c.upload_id == upload_id).values(values))
            return int(row.length)

    async def _row(self, connection: AsyncConnection, upload_id: str) -> sa.Row[tuple[object, ...]]:
        row = (await connection.execute(sa.select(uploads).where(uploads.c.upload_id == upload_id))).one_or_none()
        if row is None:
            raise NotFound("There is no such upload; begin a new one.")
        if row.state == "open" and row.expires_at <= self._clock.now():
            raise Gone("The upload was left alone for too long and has expired; begin a new one.")
        return row


class _Filling:
    """One request's bytes on their way into parts."""

    def __init__(
        self, sql: Sql, blobs: Blobs, clock: Clock, upload_id: str, writer: str, offset: int, length: int
    ) -> None:
        self._sql = sql
        self._blobs = blobs
        self._clock = clock
        self._upload_id = upload_id
        self._writer = writer
        self._offset = offset  # of the first byte in the buffer
        self._length = length
        self._buffer = bytearray()
        self._uncommitted: list[tuple[int, str, int]] = []  # offset, key and size of parts that are blobs and no rows
        self._renewed = clock.monotonic()

    async def take(self, body: AsyncIterator[bytes], checksum: Checksum | None) -> None:
        found = checksum.start() if checksum else None
        try:
            async for chunk in body:
                self._require_room(len(chunk))
                if found is not None:
                    found.update(chunk)
                self._buffer += chunk
                while len(self._buffer) >= PART_BYTES:
                    await self._put(PART_BYTES)
                    if found is None:
                        await self._commit()
                await self._renew()
        except TooLarge:
            self._buffer.clear()
            raise
        except BaseException:
            # The connection broke: what came before is good, unless only the missing end could have proved it.
            if found is None:
                await self._put(len(self._buffer))
                await self._commit()
            raise
        if checksum is not None and found is not None:
            checksum.check(found)
        await self._put(len(self._buffer))
        await self._commit()

    async def end(self) -> None:
        """Give the lease back and delete what was not committed.

        A commit that was cut off may have been made all the same, so the rows decide, not this object's memory.
        """
        keys = [key for _, key, _ in self._uncommitted]
        mine = sa.and_(uploads.c.upload_id == self._upload_id, uploads.c.writer == self._writer)
        async with self._sql.transaction() as connection:
            await connection.execute(sa.update(uploads).where(mine).values(writer=None, writer_until=0.0))
            found = await connection.scalars(sa.select(upload_parts.c.key).where(upload_parts.c.key.in_(keys)))
            committed = frozenset(found.all())
        for key in keys:
            if key not in committed:
                await self._blobs.delete(key)

    def _require_room(self, size: int) -> None:
        if self._offset + len(self._buffer) + size > self._length:
            raise TooLarge(f"The upload has {self._length} bytes; the request sent more of them.")

    async def _put(self, size: int) -> None:
        if not size:
            return
        key = part_key(self._upload_id, self._offset, self._writer)
        try:
            await self._blobs.put(key, bytes(self._buffer[:size]))
        except StorageFull as error:
            raise StorageFull(
                f"The server has no room for the upload beyond byte {self._offset}; free some space there and go on."
            ) from error
        del self._buffer[:size]
        self._uncommitted.append((self._offset, key, size))
        self._offset += size

    async def _commit(self) -> None:
        """Make the parts count, and queue the job when they were the last ones: one transaction."""
        if not self._uncommitted:
            return
        start = self._uncommitted[0][0]
        now = self._clock.now()
        async with self._sql.transaction() as connection:
            query = sa.select(uploads).where(uploads.c.upload_id == self._upload_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None or row.writer != self._writer or row.offset != start or row.state != "open":
                raise Conflict("Another request has taken this upload over; ask for the offset by HEAD.")
            for offset, key, size in self._uncommitted:
                part = {"upload_id": self._upload_id, "start": offset, "key": key, "size": size}
                await connection.execute(sa.insert(upload_parts).values(part))
            values: dict[str, object] = {
                "offset": self._offset,
                "expires_at": now + EXPIRY_SECONDS,
                "writer_until": now + _WRITER_SECONDS,
            }
            if self._offset == self._length:
                values["state"] = "complete"
                await queue_job(connection, self._upload_id, row.title_id, row.title, self._clock)
            await connection.execute(sa.update(uploads).where(uploads.c.upload_id == self._upload_id).values(**values))
        self._uncommitted.clear()

    async def _renew(self) -> None:
        if self._clock.monotonic() - self._renewed < _RENEW_SECONDS:
            return
        self._renewed = self._clock.monotonic()
        mine = sa.and_(uploads.c.upload_id == self._upload_id, uploads.c.writer == self._writer)
        async with self._sql.transaction() as connection:
            until = self._clock.now() + _WRITER_SECONDS
            result = await connection.execute(sa.update(uploads).where(mine).values(writer_until=until))
        if not result.rowcount:
            raise Conflict("Another request has taken this upload over; ask for the offset by HEAD.")


def part_key(upload_id: str, offset: int, writer: str) -> str:
    """Return the blob key of the part that begins at `offset`."""
    return f"uploads/{upload_id}/{offset:016d}-{writer}"


async def forget(connection: AsyncConnection, upload_id: str) -> None:
    """Delete an upload's rows."""
    await connection.execute(sa.delete(upload_parts).where(upload_parts.c.upload_id == upload_id))
    await connection.execute(sa.delete(uploads).where(uploads.c.upload_id == upload_id))


async def delete_parts(blobs: Blobs, upload_id: str) -> int:
    """Delete all blobs of an upload; return how many bytes they had."""
    found = [blob async for blob in blobs.list(f"uploads/{upload_id}")]
    for blob in found:
        await blobs.delete(blob.key)
    return sum(blob.size for blob in found)


def _id_of(account: str, key: str) -> str:
    return f"upl_{hashlib.sha256(f'{account} {key}'.encode()).hexdigest()[:26]}"


def _upload(row: sa.Row[tuple[object, ...]]) -> Upload:
    return Upload(
        upload_id=row.upload_id,
        title_id=row.title_id,
        length=row.length,
        offset=row.offset,
        expires_at=row.expires_at,
    )
