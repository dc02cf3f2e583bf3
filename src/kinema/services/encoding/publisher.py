"""Making a set of verified tracks a version that plays: the manifest is stored, then catalog is told.

The order leaves nothing half published whenever it is cut off. A row reserves the version number and the time; the
manifest, which follows from the row and the tracks alone, is stored create-only; catalog is told last. Going through it
again with the same tracks ends at the same version.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import sqlalchemy as sa

from kinema.core import log
from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Conflict, Forbidden, Gone, KinemaError, NotFound, Unavailable
from kinema.model.catalog import Publication, PublishedTitle, RungFact
from kinema.model.encoding import Chapter, Manifest, Track, decode_manifest, encode_manifest, manifest_key
from kinema.services.encoding.job_rows import Work
from kinema.services.encoding.protection.tiers import protection_of
from kinema.services.encoding.tables import manifests
from kinema.services.encoding.verification import NotVerified, verify_presentation
from kinema.services.encoding.verification.texts import ReadText, verify_texts
from kinema.storage.content import content_key, read_all
from kinema.storage.ports import AlreadyExists, Blobs, Sql

_logger = log.get_logger(__name__)

Announce = Callable[[str, Publication], Awaitable[None]]
"""Tells catalog that a title (by id) plays."""

CutPoster = Callable[[], Awaitable[str]]
"""Returns the digest of the title's poster (empty: there is none) once it is stored, cut anew if it was deleted."""

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 10.0
_PATIENCE_SECONDS = 600.0


class Publisher:
    """Publishes versions of assets."""

    def __init__(
        self, sql: Sql, blobs: Blobs, clock: Clock, announce: Announce, read_text: ReadText | None = None
    ) -> None:
        """`read_text` asks playback for the texts of a stored version; without it they are not checked."""
        self._sql = sql
        self._blobs = blobs
        self._clock = clock
        self._announce = announce
        self._read_text = read_text

    async def publish(
        self,
        work: Work,
        tracks: tuple[Track, ...],
        seconds: float,
        cut_poster: CutPoster,
        *,
        complete: bool,
        chapters: tuple[Chapter, ...] = (),
        quality_model: str = "",
    ) -> int:
        """Publish these tracks as the asset's next version and return its number.

        Raises NotVerified when they do not make a presentation, Unavailable when catalog could not be told for ten minutes,
        and what catalog answers when it refuses.
        """
        verify_presentation(tracks)
        manifest = Manifest(
            asset=work.asset,
            version=0,
            title_id=work.title_id,
            duration_seconds=seconds,
            created_at=0.0,
            tracks=tracks,
            chapters=chapters,
            protection=protection_of(tracks),
            quality_model=quality_model,
        )
        return await self._publish(work, manifest, cut_poster, complete=complete, latest=False)

    async def _publish(
        self, work: Work, wanted: Manifest, cut_poster: CutPoster, *, complete: bool, latest: bool
    ) -> int:
        """Publish a manifest under the next version, or under the one that its tracks have; with `latest` only if it is the newest."""
        tracks = wanted.tracks
        poster = await cut_poster()
        version, created_at, announced = await self._reserve(work, tracks, poster, complete=complete, latest=latest)
        if announced:
            return version
        await self._require_media(tracks)
        manifest = msgspec.structs.replace(wanted, version=version, created_at=created_at)
        try:
            await self._blobs.put(manifest_key(work.asset, version), encode_manifest(manifest))
        except AlreadyExists:
            _logger.info("the manifest is stored already", asset=work.asset, version=version)
        if self._read_text is not None:
            await self._patiently(partial(verify_texts, manifest, self._read_text), "playback cannot be asked")
        await self._tell(work.title_id, _publication(work, manifest, complete=complete), cut_poster)
        async with self._sql.transaction() as connection:
            await connection.execute(
                sa.update(manifests)
                .where(manifests.c.asset == work.asset, manifests.c.version == version)
                .values(announced=True)
            )
        return version

    async def publish_more(self, work: Work, wanted: Manifest, cut_poster: CutPoster) -> int:
        """Publish a complete version with more tracks than the one before as the next one, unless it is the newest; return the version."""
        verify_presentation(wanted.tracks)
        wanted = msgspec.structs.replace(wanted, protection=protection_of(wanted.tracks))
        return await self._publish(work, wanted, cut_poster, complete=True, latest=True)

    async def newest(self, asset: str) -> Manifest:
        """Return the newest announced version of an asset. Raises NotFound."""
        query = sa.select(sa.func.max(manifests.c.version)).where(manifests.c.asset == asset, manifests.c.announced)
        async with self._sql.read() as connection:
            version = await connection.scalar(query)
        if version is None:
            raise NotFound(f"Nothing of asset {asset[:60]!r} is published.")
        return decode_manifest(await read_all(self._blobs, manifest_key(asset, version)))

    def now(self) -> float:
        """Return the time, in Unix seconds, that versions are stamped with."""
        return self._clock.now()

    async def publish_again(self, title: PublishedTitle) -> int:
        """Publish the tracks that a title had with this version as its next version, unless they are its newest; return the version.

        Raises NotFound when that manifest is not stored any more, Unavailable when its media are not.
        """
        stored = await read_all(self._blobs, manifest_key(title.asset, title.manifest_version))
        then = decode_manifest(stored)
        work = Work("", title.title_id, "", title.asset, title.title, None, playable=True, seconds=0.0)
        async with self._sql.read() as connection:
            poster = await connection.scalar(
                sa.select(manifests.c.poster)
                .where(manifests.c.asset == title.asset, manifests.c.version <= title.manifest_version)
                .order_by(manifests.c.version.desc())
                .limit(1)
            )

        async def same_poster() -> str:
            return poster or ""

        return await self._publish(work, then, same_poster, complete=title.complete, latest=True)

    async def _reserve(
        self, work: Work, tracks: tuple[Track, ...], poster: str, *, complete: bool, latest: bool
    ) -> tuple[int, float, bool]:
        digests = msgspec.json.encode([track.digest for track in tracks]).decode()
        mine = manifests.c.asset == work.asset
        async with self._sql.transaction() as connection:
            newest = int(await connection.scalar(sa.select(sa.func.max(manifests.c.version)).where(mine)) or 0)
            found = (
                await connection.execute(
                    sa.select(manifests.c.version, manifests.c.created_at, manifests.c.announced).where(
                        mine,
                        manifests.c.tracks == digests,
                        manifests.c.complete == complete,
                        manifests.c.version >= (newest if latest else 0),
                    )
                )
            ).first()
            if found is not None:
                return found.version, found.created_at, found.announced
            version, created_at = newest + 1, self._clock.now()
            row = {
                "asset": work.asset,
                "version": version,
                "title_id": work.title_id,
                "tracks": digests,
                "poster": poster,
                "complete": complete,
                "announced": False,
                "created_at": created_at,
            }
            await connection.execute(sa.insert(manifests).values(row))
            return version, created_at, False

    async def _require_media(self, tracks: tuple[Track, ...]) -> None:
        """Check that the media are there now that the reserved row protects them from garbage collection."""
        try:
            for track in tracks:
                await self._blobs.size(content_key("media", track.digest))
        except NotFound as error:
            raise Unavailable("A finished track was deleted in the meantime; retry the job.") from error

    async def _patiently(self, ask: Callable[[], Awaitable[None]], trouble: str) -> None:
        """Ask again and again while nobody answers, for ten minutes: the work that was done is worth waiting for."""
        deadline = self._clock.monotonic() + _PATIENCE_SECONDS
        wait = _FIRST_WAIT
        while True:
            try:
                return await ask()
            except KinemaError as error:
                if isinstance(error, NotVerified) or self._clock.monotonic() > deadline:
                    raise
                _logger.warning(trouble, error=error.detail)
            await self._clock.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _tell(self, title_id: str, facts: Publication, cut_poster: CutPoster) -> None:
        """Tell catalog, again and again while it cannot be reached: the work that was done is worth waiting for.

        Nothing refers to the poster before catalog does, so catalog's garbage collection may delete it while this job
        waits; it is seen to before each attempt.
        """
        deadline = self._clock.monotonic() + _PATIENCE_SECONDS
        wait = _FIRST_WAIT
        while True:
            publication = msgspec.structs.replace(facts, poster=await cut_poster())
            try:
                await self._announce(title_id, publication)
            except (BadInput, Forbidden, Gone):
                raise
            except KinemaError as error:
                if isinstance(error, Conflict) and await self._stored(publication.poster):
                    raise
                if self._clock.monotonic() > deadline:
                    raise Unavailable(
                        f"The film is encoded but catalog could not be told ({error.detail}); retry the job."
                    ) from error
                _logger.warning("catalog cannot be told yet", title_id=title_id, error=error.detail)
            else:
                return
            await self._clock.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _stored(self, poster: str) -> bool:
        """Say whether a poster is where it was promised to be."""
        if not poster:
            return True
        try:
            await self._blobs.size(content_key("artwork", poster))
        except NotFound:
            return False
        return True


def _publication(work: Work, manifest: Manifest, *, complete: bool) -> Publication:
    rungs = tuple(
        RungFact(
            name=track.name,
            width=track.width,
            height=track.height,
            codec=track.codec,
            average_bandwidth=track.average_bandwidth,
        )
        for track in manifest.tracks
        if track.kind == "video"
    )
    return Publication(
        asset=manifest.asset,
        manifest_version=manifest.version,
        duration_seconds=manifest.duration_seconds,
        rungs=rungs,
        complete=complete,
        title=work.title,
    )
