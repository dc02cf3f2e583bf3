"""What operators and encoding do to titles. Every method that changes what readers see returns the version that shows it."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Conflict, Gone, NotFound
from kinema.core.ids import check_id
from kinema.model.catalog import (
    ArtworkKind,
    ArtworkStored,
    Authored,
    CatalogVersion,
    KeptVersion,
    KeptVersions,
    Publication,
    Published,
    Recall,
    TitleChange,
    TitleDetails,
    Withdrawals,
)
from kinema.model.encoding import manifest_key
from kinema.services.catalog import pictures, repository, snapshot, texts, withdrawals
from kinema.services.catalog.cycle import Change, Cycle
from kinema.services.catalog.gallery import ARTWORK_PREFIX, Gallery
from kinema.services.catalog.reader import Reader
from kinema.storage import content
from kinema.storage.ports import Blobs, Sql

_UNNAMED = "Untitled"


class Authoring:
    """Writes titles and publishes them."""

    def __init__(self, sql: Sql, blobs: Blobs, clock: Clock, cycle: Cycle, reader: Reader) -> None:
        self._gallery = Gallery(blobs)
        self._sql = sql
        self._blobs = blobs
        self._clock = clock
        self._cycle = cycle
        self._reader = reader

    async def details(self, title_id: str) -> TitleDetails:
        """Return what is written about a title, published or not. Raises NotFound."""
        async with self._sql.read() as connection:
            return (await repository.get_title(connection, check_id(title_id, "ttl"))).details

    async def put(self, title_id: str, details: TitleDetails) -> Authored:
        """Write all details of a title, which need not exist yet. Raises BadInput."""
        check_id(title_id, "ttl")
        cleaned = texts.clean(details)

        async def change(connection: AsyncConnection) -> bool:
            row = await repository.find_title(connection, title_id)
            if row is not None and row.withdrawn:
                await withdrawals.forget(connection, title_id)
            await repository.save_details(connection, title_id, cleaned, written=True)
            return row is not None and row.published

        return Authored(title_id=title_id, details=cleaned, catalog_version=await self._publish(change))

    async def patch(self, title_id: str, wanted: TitleChange) -> Authored:
        """Write some details of a title. Raises NotFound and BadInput."""
        check_id(title_id, "ttl")
        given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not msgspec.UNSET}
        cleaned: TitleDetails | None = None

        async def change(connection: AsyncConnection) -> bool:
            nonlocal cleaned
            row = await repository.get_title(connection, title_id)
            cleaned = texts.clean(msgspec.structs.replace(row.details, **given))
            await repository.save_details(connection, title_id, cleaned, written=True)
            return row.published

        version = await self._publish(change)
        assert cleaned is not None
        return Authored(title_id=title_id, details=cleaned, catalog_version=version)

    async def withdraw(self, title_id: str, reason: str = "") -> None:
        """Take a title out of the catalogue for good, with a reason for operators to read. Raises NotFound and BadInput."""
        check_id(title_id, "ttl")
        why = texts.reason(reason) or "An operator has withdrawn it."

        async def change(connection: AsyncConnection) -> bool:
            row = await repository.get_title(connection, title_id)
            asset, version = await repository.find_publication(connection, title_id) or ("", 0)
            await repository.withdraw(connection, title_id)
            await withdrawals.note(connection, title_id, Recall(asset, version, why), self._clock.now())
            return row.published

        await self._publish(change)

    async def recall(self, title_id: str, recalled: Recall) -> None:
        """Take a title out of the catalogue while this version of its asset, or an older one, is what it is published with.

        Nothing happens when a newer one is. Raises BadInput.
        """
        check_id(title_id, "ttl")
        why = msgspec.structs.replace(recalled, reason=texts.reason(recalled.reason))

        async def change(connection: AsyncConnection) -> bool:
            return await withdrawals.recall(connection, title_id, why, self._clock.now())

        await self._publish(change)

    async def withdrawals(self) -> Withdrawals:
        """Return which titles are off and why, the latest first."""
        async with self._sql.read() as connection:
            return Withdrawals(withdrawals=await withdrawals.page(connection))

    async def put_artwork(self, title_id: str, kind: ArtworkKind, body: bytes) -> ArtworkStored:
        """Make a picture the title's poster or billboard. Raises NotFound, and what `pictures.inspect` raises."""
        check_id(title_id, "ttl")
        picture = pictures.inspect(body)
        await self.details(title_id)
        digest = await self._gallery.store(body)

        async def change(connection: AsyncConnection) -> bool:
            row = await repository.get_title(connection, title_id)
            await repository.save_artwork(connection, title_id, kind, digest)
            return row.published

        version = await self._publish(change)
        # Once more, in case that a collection found the same picture, not yet in use, a moment ago.
        await self._gallery.store(body)
        return ArtworkStored(
            path=repository.artwork_path(digest),
            media_type=picture.media_type,
            width=picture.width,
            height=picture.height,
            catalog_version=version,
        )

    async def publish(self, title_id: str, publication: Publication) -> Published:
        """Publish a version of an asset under a title. Repeating it, or announcing an older version, changes nothing.

        Raises Gone when the title was withdrawn, Conflict when the manifest or the poster is not stored, BadInput for facts
        that cannot be.
        """
        check_id(title_id, "ttl")
        _check(publication)
        await self._require(manifest_key(publication.asset, publication.manifest_version), "manifest")
        if publication.poster:
            await self._require(content.content_key(ARTWORK_PREFIX, publication.poster), "poster")

        async def change(connection: AsyncConnection) -> bool:
            row = await repository.find_title(connection, title_id)
            if row is not None and row.withdrawn:
                raise Gone(f"Title {title_id} was withdrawn; write its details again to bring it back.")
            asset, version = publication.asset, publication.manifest_version
            await withdrawals.require_not_recalled(connection, title_id, asset, version)
            before = await repository.find_publication(connection, title_id)
            if before and before[0] == publication.asset and before[1] >= publication.manifest_version:
                return False
            if row is None or not row.written:
                name = texts.one_line(publication.title)[: texts.TITLE_LENGTH] or _UNNAMED
                await repository.save_details(connection, title_id, TitleDetails(title=name), written=False)
            now = self._clock.now()
            await repository.save_publication(connection, title_id, publication, now)
            await withdrawals.forget(connection, title_id)
            if before is None:
                await repository.note(connection, title_id, now)
            return True

        version = await self._publish(change)
        if version is None:
            async with self._sql.read() as connection:
                version = await repository.latest_announced(connection)
        return Published(title_id=title_id, catalog_version=version)

    async def pin(self, version: int | None) -> CatalogVersion:
        """Make readers serve this version until it is unpinned (None). Raises NotFound when it is not kept."""
        if version is not None:
            try:
                await self._blobs.size(snapshot.snapshot_key(version))
            except NotFound as error:
                raise NotFound(f"Version {version} of the catalogue is not kept; pin one of those listed.") from error
        async with self._sql.transaction() as connection:
            if version is not None and version not in {
                row.version for row in await repository.kept_versions(connection)
            }:
                raise NotFound(f"Version {version} of the catalogue is not kept; pin one of those listed.")
            await repository.pin(connection, version)
        await self._reader.refresh()
        return self._reader.version

    async def versions(self) -> KeptVersions:
        """Return the versions that can be pinned, newest first."""
        async with self._sql.read() as connection:
            rows = await repository.kept_versions(connection)
        return KeptVersions(
            versions=tuple(
                KeptVersion(version=row.version, created_at=repository.iso(row.created_at), titles=row.titles)
                for row in rows
            )
        )

    async def _publish(self, change: Change) -> int | None:
        version = await self._cycle.run(change)
        if version is not None:
            await self._reader.refresh()
        return version

    async def _require(self, key: str, part: str) -> None:
        try:
            await self._blobs.size(key)
        except NotFound as error:
            raise Conflict(f"The publication names a {part} that is not stored ({key}); store it first.") from error


def _check(publication: Publication) -> None:
    if publication.manifest_version < 1 or not publication.duration_seconds > 0 or not publication.rungs:
        raise BadInput("A publication has a manifest version from 1 on, a duration above 0 and at least one rung.")
