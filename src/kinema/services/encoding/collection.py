"""Garbage collection: deletes the blobs that no upload, job, title or play refers to.

Kept are: manifest versions that catalog names (published, or in a kept snapshot) or that a play still holds a token for,
those that were made within `minimum_age_seconds`, and all of an asset whose job is at work; the media these name; the films
of unfinished jobs and of kept assets; what is younger than `minimum_age_seconds` or than the oldest unfinished job, since
somebody may be about to refer to it; and, however old, what the present writer of an open upload has put and not yet
committed (a request with a checksum commits at its end).

The order makes it safe beside running work: first what exists is listed, then who refers to what is read, and only what was
listed and is not referred to is deleted. Catalog is asked before playback, because a play starts from what catalog names.

An hour is the usual age, for `kinema gc` too, though running work would bear less: what began to work before is protected
as above. But a job that failed by a full disk or was cancelled keeps its film by its age alone, and whoever frees room by
`kinema gc` means to retry it. A film that is sent again while its old blob is being deleted, and a blob store whose clock
is slow, are covered by the age only as well. What nobody can retry does not wait: a job whose file is no good leaves nothing.
"""

from collections.abc import Awaitable, Callable

import msgspec
import sqlalchemy as sa

from kinema.core.clock import Clock
from kinema.model.catalog import AssetVersion
from kinema.model.encoding import Collected
from kinema.services.encoding.job_rows import UNFINISHED
from kinema.services.encoding.tables import jobs, manifests, steps, upload_parts, uploads
from kinema.services.encoding.uploads import delete_parts, forget
from kinema.storage.content import content_key
from kinema.storage.ports import BlobInfo, Blobs, Sql

InUse = Callable[[], Awaitable[frozenset[AssetVersion]]]
"""Asks catalog and then playback which manifest versions they need."""

MINIMUM_AGE_SECONDS = 3600.0
_SKEW_SECONDS = 60.0  # by which the clock of a blob store may be off
_PREFIXES = ("media", "manifests", "sources", "steps", "uploads")


class _References(msgspec.Struct, frozen=True):
    """What must stay: blob keys, what these writers of uploads have put, and manifest versions."""

    keys: frozenset[str]
    writers: frozenset[str]
    versions: frozenset[AssetVersion]

    def hold(self, key: str) -> bool:
        """Say whether a blob must stay."""
        return key in self.keys or key.rpartition("-")[2] in self.writers


class Collection:
    """Finds and deletes what nobody needs."""

    def __init__(self, sql: Sql, blobs: Blobs, clock: Clock, in_use: InUse) -> None:
        self._sql = sql
        self._blobs = blobs
        self._clock = clock
        self._in_use = in_use

    async def collect(self, minimum_age_seconds: float = MINIMUM_AGE_SECONDS) -> Collected:
        """Delete everything that is not needed and older than this; return how much it was.

        Raises what catalog or playback answer when they cannot be asked; nothing of theirs is deleted then.
        """
        before = await self._safe_before(minimum_age_seconds)
        expired, bytes_freed = await self._expired_uploads(before)
        listed = {prefix: await self._old(prefix, before) for prefix in _PREFIXES}
        needed = await self._references(await self._in_use(), before)
        counts: dict[str, int] = {}
        for prefix, found in listed.items():
            unneeded = [blob for blob in found if not needed.hold(blob.key)]
            for blob in unneeded:
                await self._blobs.delete(blob.key)
            counts[prefix] = len(unneeded)
            bytes_freed += sum(blob.size for blob in unneeded)
        await self._forget(needed, before)
        await self._blobs.sweep()
        return Collected(
            uploads=expired,
            parts=counts["uploads"],
            media=counts["media"],
            manifests=counts["manifests"],
            sources=counts["sources"],
            steps=counts["steps"],
            bytes=bytes_freed,
        )

    async def _safe_before(self, minimum_age_seconds: float) -> float:
        """Return the time before which a blob is old: what was made since the oldest unfinished job began may be its."""
        # What a resting job made is kept by its steps, and one that has not begun (a backfill has thousands) made nothing.
        begun = sa.or_(jobs.c.state == "running", sa.and_(jobs.c.state == "queued", jobs.c.seconds > 0))
        working = sa.select(sa.func.min(jobs.c.created_at)).where(begun)
        async with self._sql.read() as connection:
            oldest = await connection.scalar(working)
        before = self._clock.now() - minimum_age_seconds
        return before if oldest is None else min(before, oldest - _SKEW_SECONDS)

    async def _expired_uploads(self, before: float) -> tuple[int, int]:
        """Forget the uploads that were left alone, and those whose job ended before it had put the parts together.

        Returns how many, and the bytes that they had.
        """
        left_alone = sa.and_(uploads.c.state == "open", uploads.c.expires_at <= self._clock.now())
        needed = sa.select(jobs.c.upload_id).where(sa.or_(jobs.c.state.in_(UNFINISHED), jobs.c.changed_at > before))
        in_vain = sa.and_(uploads.c.state == "complete", uploads.c.upload_id.not_in(needed))
        gone = sa.or_(left_alone, in_vain)
        async with self._sql.transaction() as connection:
            expired = list((await connection.scalars(sa.select(uploads.c.upload_id).where(gone))).all())
            for upload_id in expired:
                await forget(connection, upload_id)
        return len(expired), sum([await delete_parts(self._blobs, upload_id) for upload_id in expired])

    async def _old(self, prefix: str, before: float) -> list[BlobInfo]:
        return [blob async for blob in self._blobs.list(prefix) if blob.modified_at <= before]

    async def _references(self, in_use: frozenset[AssetVersion], before: float) -> _References:
        """Read who refers to what, in one consistent snapshot."""
        async with self._sql.read() as connection:
            job_rows = (
                await connection.execute(sa.select(jobs.c.asset, jobs.c.source, jobs.c.state, jobs.c.changed_at))
            ).all()
            made = (await connection.execute(sa.select(manifests))).all()
            done = (await connection.execute(sa.select(steps.c.source, steps.c.blobs))).all()
            keys = set((await connection.scalars(sa.select(upload_parts.c.key))).all())
            # A killed writer stays named until somebody goes on or the upload expires; its part then goes with the rest.
            writing = sa.select(uploads.c.writer).where(uploads.c.state == "open", uploads.c.writer.is_not(None))
            writers = frozenset((await connection.scalars(writing)).all())
        working = {row.asset for row in job_rows if row.state in UNFINISHED}
        versions = frozenset(
            version
            for row in made
            if (version := AssetVersion(row.asset, row.version)) in in_use
            or row.asset in working
            or row.created_at > before
        )
        assets = {version.asset for version in versions}
        for row in made:
            if AssetVersion(row.asset, row.version) in versions:
                keys.add(f"manifests/{row.asset}/{row.version}.json")
                keys.update(content_key("media", digest) for digest in msgspec.json.decode(row.tracks, type=list[str]))
        films = {
            row.source
            for row in job_rows
            if row.source and (row.state in UNFINISHED or row.asset in assets or row.changed_at > before)
        }
        keys.update(content_key("sources", film) for film in films)
        unfinished = {row.source for row in job_rows if row.state in UNFINISHED}
        for row in done:
            if row.source in unfinished:
                keys.update(msgspec.json.decode(row.blobs, type=list[str]))
        return _References(frozenset(keys), writers, versions)

    async def _forget(self, needed: _References, before: float) -> None:
        """Drop the rows of what was deleted: old manifests, and finished steps whose blobs are gone."""
        async with self._sql.transaction() as connection:
            old = sa.select(manifests.c.asset, manifests.c.version).where(manifests.c.created_at <= before)
            for row in (await connection.execute(old)).all():
                if AssetVersion(row.asset, row.version) not in needed.versions:
                    this = sa.and_(manifests.c.asset == row.asset, manifests.c.version == row.version)
                    await connection.execute(sa.delete(manifests).where(this))
            aged = sa.select(steps.c.step_key, steps.c.blobs).where(steps.c.created_at <= before)
            for row in (await connection.execute(aged)).all():
                keys = msgspec.json.decode(row.blobs, type=list[str])
                if any(key not in needed.keys for key in keys if not key.startswith("artwork/")):
                    await connection.execute(sa.delete(steps).where(steps.c.step_key == row.step_key))
