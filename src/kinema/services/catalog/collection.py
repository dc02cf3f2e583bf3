"""Deleting what nobody needs: old snapshots and pictures that no title has.

Kept are the newest twenty versions, the served one, the pinned one, and whatever is younger than an hour, so that a reader
or an author in the middle of something always finds what was named to it.
"""

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import NotFound
from kinema.model.catalog import AssetVersion, CatalogCollected
from kinema.services.catalog import repository, snapshot
from kinema.services.catalog.gallery import ARTWORK_PREFIX
from kinema.services.catalog.repository import VersionRow
from kinema.services.catalog.snapshot import SnapshotBody
from kinema.storage.content import read_all
from kinema.storage.ports import Blobs, Sql

_KEPT_VERSIONS = 20
_KEPT_SECONDS = 3600.0


class Collection:
    """Knows what the catalogue refers to, and deletes the rest of its blobs."""

    def __init__(self, sql: Sql, blobs: Blobs, clock: Clock) -> None:
        self._sql = sql
        self._blobs = blobs
        self._clock = clock

    async def collect(self) -> CatalogCollected:
        """Delete what is not needed; return how much it was."""
        return CatalogCollected(snapshots=await self._snapshots(), artwork=await self._artwork())

    async def assets(self) -> tuple[AssetVersion, ...]:
        """Return every manifest version that a published title or a kept snapshot names; media of these must stay."""
        async with self._sql.read() as connection:
            titles = list(await repository.published_titles(connection))
        for body in await self._kept_snapshots():
            titles += body.titles
        named = {(title.asset, title.manifest_version) for title in titles}
        return tuple(AssetVersion(asset=asset, version=version) for asset, version in sorted(named))

    async def _snapshots(self) -> int:
        before = self._clock.now() - _KEPT_SECONDS
        async with self._sql.transaction() as connection:
            rows = await repository.kept_versions(connection)
            needed = {
                (await repository.served(connection)).version,
                await repository.latest_announced(connection),
            }
            old = droppable(rows, needed, before)
            await repository.forget_versions(connection, old)
            kept = {snapshot.snapshot_key(row.version) for row in rows if row.version not in old}
        return await self._delete_others("snapshots", kept, before)

    async def _artwork(self) -> int:
        before = self._clock.now() - _KEPT_SECONDS
        used = {
            path.rpartition("/")[2]
            for body in await self._kept_snapshots()
            for title in body.titles
            for path in (title.poster, title.billboard)
        }
        async with self._sql.read() as connection:
            used |= await repository.artwork_in_use(connection)
        kept = {f"{ARTWORK_PREFIX}/{digest[:2]}/{digest}" for digest in used if digest}
        return await self._delete_others(ARTWORK_PREFIX, kept, before)

    async def _delete_others(self, prefix: str, kept: set[str], before: float) -> int:
        others = [
            blob.key async for blob in self._blobs.list(prefix) if blob.key not in kept and blob.modified_at < before
        ]
        for key in others:
            await self._blobs.delete(key)
        return len(others)

    async def _kept_snapshots(self) -> list[SnapshotBody]:
        async with self._sql.read() as connection:
            rows = await repository.kept_versions(connection)
        bodies: list[SnapshotBody] = []
        for row in rows:
            try:
                bodies.append(snapshot.decode(await read_all(self._blobs, snapshot.snapshot_key(row.version))))
            except (NotFound, msgspec.DecodeError):  # reserved and never published
                continue
        return bodies


def droppable(rows: tuple[VersionRow, ...], needed: set[int], before: float) -> list[int]:
    """Return the versions that may go: not needed, not among the newest twenty, and made before this time.

    `rows` are newest first.
    """
    return [row.version for row in rows[_KEPT_VERSIONS:] if row.version not in needed and row.created_at < before]
