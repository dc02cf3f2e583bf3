"""The rows of authoring and of snapshot versions. Functions take the connection: the unit of work is the caller's."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.errors import NotFound
from kinema.model.catalog import ArtworkKind, CatalogVersion, Publication, RungFact, Title, TitleDetails
from kinema.services.catalog.snapshot import newest_first
from kinema.services.catalog.tables import announced, artwork, publications, titles, versions
from kinema.services.catalog.tables import notices as notice_table

AnyRow = sa.Row[*tuple[object, ...]]


class TitleRow(msgspec.Struct, frozen=True):
    """A title as people wrote it. `published` tells whether encoding has announced an asset for it."""

    title_id: str
    details: TitleDetails
    written: bool
    withdrawn: bool
    published: bool


class VersionRow(msgspec.Struct, frozen=True):
    """A snapshot version; `created_at` is in Unix seconds."""

    version: int
    created_at: float
    titles: int


def artwork_path(digest: str) -> str:
    """Return the path at which a picture is served, or an empty text for none."""
    return f"/v1/artwork/{digest}" if digest else ""


async def find_title(connection: AsyncConnection, title_id: str) -> TitleRow | None:
    """Return a title's row, withdrawn or not."""
    query = (
        sa.select(titles, publications.c.asset)
        .outerjoin(publications, publications.c.title_id == titles.c.title_id)
        .where(titles.c.title_id == title_id)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return TitleRow(
        title_id=title_id,
        details=_details(row),
        written=row.written,
        withdrawn=row.withdrawn,
        published=row.asset is not None,
    )


async def get_title(connection: AsyncConnection, title_id: str) -> TitleRow:
    """Return a title that is not withdrawn. Raises NotFound."""
    row = await find_title(connection, title_id)
    if row is None or row.withdrawn:
        raise NotFound(f"There is no title {title_id}; it may have been withdrawn.")
    return row


async def save_details(connection: AsyncConnection, title_id: str, details: TitleDetails, *, written: bool) -> None:
    """Store a title's details; a title that was withdrawn is back with that."""
    values = {
        "title": details.title,
        "synopsis": details.synopsis,
        "year": details.year,
        "genres": msgspec.json.encode(details.genres).decode(),
        "shelf": details.shelf,
        "credits": details.credits,
        "written": written,
        "withdrawn": False,
    }
    changed = await connection.execute(sa.update(titles).where(titles.c.title_id == title_id).values(values))
    if not changed.rowcount:
        await connection.execute(sa.insert(titles).values(title_id=title_id, **values))


async def withdraw(connection: AsyncConnection, title_id: str) -> None:
    """Take a title back with its publication and pictures; its row stays, so that a late publication is refused."""
    await connection.execute(sa.delete(publications).where(publications.c.title_id == title_id))
    await connection.execute(sa.delete(artwork).where(artwork.c.title_id == title_id))
    await connection.execute(sa.delete(notice_table).where(notice_table.c.title_id == title_id))
    await connection.execute(sa.update(titles).where(titles.c.title_id == title_id).values(withdrawn=True))


async def find_publication(connection: AsyncConnection, title_id: str) -> tuple[str, int] | None:
    """Return the asset and manifest version that a title is published with."""
    query = sa.select(publications.c.asset, publications.c.manifest_version).where(publications.c.title_id == title_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.asset, row.manifest_version)


async def save_publication(connection: AsyncConnection, title_id: str, publication: Publication, now: float) -> None:
    """Store what encoding announced; the first publication's time stays."""
    values = {
        "asset": publication.asset,
        "manifest_version": publication.manifest_version,
        "duration_seconds": publication.duration_seconds,
        "rungs": msgspec.json.encode(publication.rungs).decode(),
        "complete": publication.complete,
        "poster": publication.poster,
    }
    change = sa.update(publications).where(publications.c.title_id == title_id).values(values)
    if not (await connection.execute(change)).rowcount:
        await connection.execute(sa.insert(publications).values(title_id=title_id, published_at=now, **values))


async def note(connection: AsyncConnection, title_id: str, now: float) -> None:
    """Note that devices shall be told of this title, published for the first time now."""
    await connection.execute(sa.delete(notice_table).where(notice_table.c.title_id == title_id))
    await connection.execute(sa.insert(notice_table).values(title_id=title_id, at=now))


async def notices(connection: AsyncConnection) -> list[tuple[str, float]]:
    """Return the titles that devices have not been told of, and when they were noted, the oldest first."""
    rows = await connection.execute(sa.select(notice_table).order_by(notice_table.c.at))
    return [(row.title_id, row.at) for row in rows]


async def forget_notice(connection: AsyncConnection, title_id: str, at: float) -> None:
    """Delete a notice, unless the title has been withdrawn and published anew since."""
    same = sa.and_(notice_table.c.title_id == title_id, notice_table.c.at == at)
    await connection.execute(sa.delete(notice_table).where(same))


async def save_artwork(connection: AsyncConnection, title_id: str, kind: ArtworkKind, digest: str) -> None:
    """Make this picture the title's poster or billboard."""
    condition = sa.and_(artwork.c.title_id == title_id, artwork.c.kind == kind)
    if not (await connection.execute(sa.update(artwork).where(condition).values(digest=digest))).rowcount:
        await connection.execute(sa.insert(artwork).values(title_id=title_id, kind=kind, digest=digest))


async def published_titles(connection: AsyncConnection) -> tuple[Title, ...]:
    """Return every published title, newest first."""
    pictures = (await connection.execute(sa.select(artwork))).all()
    query = sa.select(titles, publications).join(publications, publications.c.title_id == titles.c.title_id)
    rows = (await connection.execute(query.where(titles.c.withdrawn.is_(sa.false())))).all()
    return await asyncio.to_thread(_titles, rows, pictures)


async def artwork_in_use(connection: AsyncConnection) -> set[str]:
    """Return the digests of all pictures that titles have, published or not."""
    chosen = (await connection.execute(sa.select(artwork.c.digest))).scalars()
    cut = (await connection.execute(sa.select(publications.c.poster))).scalars()
    return {*chosen, *cut}


async def reserve_version(connection: AsyncConnection, now: float, count: int) -> int:
    """Return a version number above all before it, and keep it from others."""
    newest = (await connection.execute(sa.select(sa.func.max(versions.c.version)))).scalar()
    before = (await connection.execute(sa.select(announced.c.version))).scalar_one()
    version: int = max(newest or 0, before) + 1
    await connection.execute(sa.insert(versions).values(version=version, created_at=now, titles=count))
    return version


async def announce(connection: AsyncConnection, version: int) -> None:
    """Make this the version that readers follow, unless a newer one has been announced."""
    await connection.execute(sa.update(announced).where(announced.c.version < version).values(version=version))


async def pin(connection: AsyncConnection, version: int | None) -> None:
    """Make readers serve this version until it is unpinned."""
    await connection.execute(sa.update(announced).values(pinned=version))


async def served(connection: AsyncConnection) -> CatalogVersion:
    """Return which version readers shall serve."""
    row = (await connection.execute(sa.select(announced))).one()
    return CatalogVersion(version=row.version if row.pinned is None else row.pinned, pinned=row.pinned is not None)


async def unannounced(connection: AsyncConnection, before: float) -> bool:
    """Say whether the newest version was reserved before this time and has not been announced."""
    newest = (await connection.execute(sa.select(versions).order_by(versions.c.version.desc()).limit(1))).one_or_none()
    if newest is None or newest.created_at >= before:
        return False
    pending: bool = newest.version > await latest_announced(connection)
    return pending


async def kept_versions(connection: AsyncConnection) -> tuple[VersionRow, ...]:
    """Return all versions that were not collected, the newest first."""
    rows = await connection.execute(sa.select(versions).order_by(versions.c.version.desc()))
    return tuple(VersionRow(version=row.version, created_at=row.created_at, titles=row.titles) for row in rows)


async def latest_announced(connection: AsyncConnection) -> int:
    """Return the newest announced version, pinned or not; 0 before the first."""
    version: int = (await connection.execute(sa.select(announced.c.version))).scalar_one()
    return version


async def forget_versions(connection: AsyncConnection, numbers: list[int]) -> None:
    """Delete the rows of versions, so that they cannot be pinned any more."""
    await connection.execute(sa.delete(versions).where(versions.c.version.in_(numbers)))


def iso(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC to the millisecond: all of one length, so that their order is that of time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _titles(rows: Sequence[AnyRow], pictures: Sequence[AnyRow]) -> tuple[Title, ...]:
    chosen: dict[tuple[str, str], str] = {(row.title_id, row.kind): row.digest for row in pictures}
    found: list[Title] = []
    for row in rows:
        details = _details(row)
        found.append(
            Title(
                title_id=row.title_id,
                title=details.title,
                synopsis=details.synopsis,
                year=details.year,
                genres=details.genres,
                shelf=details.shelf,
                credits=details.credits,
                asset=row.asset,
                manifest_version=row.manifest_version,
                duration_seconds=row.duration_seconds,
                rungs=msgspec.json.decode(row.rungs, type=tuple[RungFact, ...]),
                complete=row.complete,
                poster=artwork_path(chosen.get((row.title_id, "poster"), row.poster)),
                billboard=artwork_path(chosen.get((row.title_id, "billboard"), "")),
                published_at=iso(row.published_at),
            )
        )
    return newest_first(found)


def _details(row: AnyRow) -> TitleDetails:
    stored = row._mapping  # noqa: SLF001 -- SQLAlchemy's documented name
    return TitleDetails(
        title=stored["title"],
        synopsis=stored["synopsis"],
        year=stored["year"],
        genres=msgspec.json.decode(stored["genres"], type=tuple[str, ...]),
        shelf=stored["shelf"],
        credits=stored["credits"],
    )
