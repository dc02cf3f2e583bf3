"""The rows of plays. One row a play; it says until when the version it plays must be kept."""

import msgspec
import sqlalchemy as sa

from kinema.core.errors import NotFound
from kinema.model.playback import Device, IssuedLicence, Lease
from kinema.services.playback.tables import licences, plays
from kinema.storage.ports import Sql


class PlayRow(msgspec.Struct, frozen=True):
    """A started play as it is stored. `expires_at` is the last token's expiry; times are Unix seconds."""

    play_id: str
    account: str
    title_id: str
    asset: str
    version: int
    device: Device
    started_at: float
    expires_at: int


class PlayRepository:
    """Reads and writes plays, and the licences that they were given."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def add(self, row: PlayRow) -> None:
        """Store a new play; durable when this returns."""
        values = msgspec.structs.asdict(row) | {"device": msgspec.json.encode(row.device).decode()}
        async with self._sql.transaction() as connection:
            await connection.execute(sa.insert(plays).values(values))

    async def get(self, play_id: str) -> PlayRow:
        """Return a play. Raises NotFound."""
        async with self._sql.read() as connection:
            found = (await connection.execute(sa.select(plays).where(plays.c.play_id == play_id))).one_or_none()
        if found is None:
            raise NotFound(f"There is no play {play_id[:60]!r}; start a new one.")
        values = dict(found._mapping)  # noqa: SLF001 -- SQLAlchemy's documented name
        values["device"] = msgspec.json.decode(values["device"], type=Device)
        return PlayRow(**values)

    async def extend(self, play_id: str, expires_at: int) -> None:
        """Move a play's expiry on; never back, since an earlier token may still be in use."""
        async with self._sql.transaction() as connection:
            await connection.execute(
                sa.update(plays)
                .where(plays.c.play_id == play_id, plays.c.expires_at < expires_at)
                .values(expires_at=expires_at)
            )

    async def leases(self, now: float) -> tuple[Lease, ...]:
        """Return, for each version of an asset that some unexpired token still names, the latest expiry."""
        query = (
            sa.select(plays.c.asset, plays.c.version, sa.func.max(plays.c.expires_at))
            .where(plays.c.expires_at > now)
            .group_by(plays.c.asset, plays.c.version)
        )
        async with self._sql.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(Lease(asset=asset, version=version, expires_at=latest) for asset, version, latest in rows)

    async def counts(self) -> tuple[float | None, list[tuple[str, int]]]:
        """Return when the oldest known play was started (None: there is none) and the number of plays of each title."""
        query = sa.select(plays.c.title_id, sa.func.count()).group_by(plays.c.title_id).order_by(plays.c.title_id)
        async with self._sql.read() as connection:
            oldest = await connection.scalar(sa.select(sa.func.min(plays.c.started_at)))
            return oldest, [(title_id, number) for title_id, number in (await connection.execute(query)).all()]

    async def forget(self, before: float) -> int:
        """Delete the plays whose last token expired before this time; return how many there were."""
        async with self._sql.transaction() as connection:
            return (await connection.execute(sa.delete(plays).where(plays.c.expires_at < before))).rowcount

    async def add_licence(self, row: IssuedLicence) -> None:
        """Store a licence; durable when this returns."""
        values = msgspec.structs.asdict(row) | {"key_ids": msgspec.json.encode(row.key_ids).decode()}
        async with self._sql.transaction() as connection:
            await connection.execute(sa.insert(licences).values(values))

    async def licences(self, asset: str, before: str, limit: int) -> tuple[IssuedLicence, ...]:
        """Return licences of an asset, the newest first, beginning behind the one with the id `before` (empty: all)."""
        query = sa.select(licences).where(licences.c.asset == asset).order_by(licences.c.licence_id.desc()).limit(limit)
        if before:
            query = query.where(licences.c.licence_id < before)
        async with self._sql.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(
            IssuedLicence(**dict(row) | {"key_ids": tuple(msgspec.json.decode(row["key_ids"], type=list[str]))})
            for row in rows
        )

    async def forget_licences(self, before: float) -> int:
        """Delete the licences that were given before this time; return how many there were."""
        async with self._sql.transaction() as connection:
            return (await connection.execute(sa.delete(licences).where(licences.c.issued_at < before))).rowcount
