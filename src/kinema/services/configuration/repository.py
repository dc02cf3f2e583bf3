"""The rows of configuration. Each method is one transaction; what must not race is decided inside it.

Every transaction that writes first takes out what has expired, so the trail says when a value ended by itself, and ends by
raising the revision, by which readers know that something has changed.
"""

from collections.abc import Callable

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.errors import Conflict, NotFound
from kinema.core.properties import Value
from kinema.core.property_scope import Override, Scope
from kinema.model.configuration import Action
from kinema.services.configuration.tables import changes, overrides, state
from kinema.storage.ports import Sql

MOST_OVERRIDES = 1000
MOST_OF_ONE = 100
KEPT_CHANGES = 100_000
EXPIRY = "expiry"
"""Who took back a value that had a time limit."""

_decode_value = msgspec.json.Decoder(bool | int | float | str | tuple[str, ...]).decode


class Held(msgspec.Struct, frozen=True):
    """What an override says: its value, for which percentage, until when (Unix seconds)."""

    value: bool | int | float | str | tuple[str, ...]
    percent: float = 100.0
    expires_at: float | None = None


class OverrideRow(msgspec.Struct, frozen=True):
    """An override as it is stored. Times are Unix seconds."""

    name: str
    scope: Scope
    held: Held
    set_at: float
    set_by: str
    reason: str

    def override(self) -> Override:
        """Return what processes need of it."""
        return Override(self.name, self.held.value, self.scope, self.held.expires_at)


class ChangeRow(msgspec.Struct, frozen=True):
    """One line of the trail; `old` and `new` are None where there was or is no override."""

    entry: int
    at: float
    who: str
    action: Action
    name: str
    scope: Scope
    old: Held | None
    new: Held | None
    reason: str


class Change(msgspec.Struct, frozen=True):
    """What somebody wants of one property in one scope: `held`, or None to take back what is there."""

    name: str
    scope: Scope
    held: Held | None
    at: float
    who: str
    action: Action
    reason: str


class ConfigurationRepository:
    """Reads and writes overrides and the trail of their changes."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def mark(self) -> str:
        """Return a text that changes whenever an override does, and is never that of another database."""
        async with self._sql.read() as connection:
            return await _mark(connection)

    async def layer(self) -> tuple[str, tuple[OverrideRow, ...]]:
        """Return the mark and all overrides, of one moment."""
        async with self._sql.read() as connection:
            return await _mark(connection), await _rows(connection, sa.select(overrides))

    async def revisions(self) -> dict[str, int]:
        """Return the number of each property's newest change; those that never changed have none."""
        query = sa.select(changes.c.name, sa.func.max(changes.c.entry).label("newest")).group_by(changes.c.name)
        async with self._sql.read() as connection:
            return {row.name: row.newest for row in await connection.execute(query)}

    async def apply(self, change: Change, condition: Callable[[int], None]) -> bool:
        """Make a change and write it into the trail; return whether there was anything to change.

        `condition` is called with the number of the property's newest change and raises when that is not the expected one.
        Raises NotFound when there is nothing to take back, Conflict when there are too many overrides.
        """
        async with self._sql.transaction() as connection:
            await _sweep(connection, change.at)
            newest = sa.select(sa.func.max(changes.c.entry)).where(changes.c.name == change.name)
            condition((await connection.execute(newest)).scalar() or 0)
            found = await _rows(connection, sa.select(overrides).where(_is(change.name, change.scope)))
            old = found[0].held if found else None
            if old is None and change.held is None:
                raise NotFound(f"Nothing is set for {change.name} {_words(change.scope)}; look at what is.")
            if old == change.held:
                return False
            await connection.execute(sa.delete(overrides).where(_is(change.name, change.scope)))
            if change.held is not None:
                await _check_room(connection, change.name)
                await connection.execute(sa.insert(overrides).values(_values(change, change.held)))
            await _record(connection, change, old)
            return True

    async def sweep(self, now: float) -> bool:
        """Take out what has expired; return whether there was anything."""
        async with self._sql.read() as connection:
            due = (await connection.execute(sa.select(overrides.c.name).where(_expired(now)).limit(1))).first()
        if due is None:
            return False
        async with self._sql.transaction() as connection:
            await _sweep(connection, now)
        return True

    async def change(self, entry: int) -> ChangeRow:
        """Return one line of the trail. Raises NotFound."""
        async with self._sql.read() as connection:
            row = (await connection.execute(sa.select(changes).where(changes.c.entry == entry))).one_or_none()
        if row is None:
            raise NotFound(f"There is no change {entry} in the audit trail.")
        return _change(row)

    async def changes(self, name: str, before: int | None, limit: int) -> tuple[ChangeRow, ...]:
        """Return lines of the trail, the newest first: of one property unless the name is empty, older than an entry."""
        query = sa.select(changes).order_by(changes.c.entry.desc()).limit(limit)
        if name:
            query = query.where(changes.c.name == name)
        if before is not None:
            query = query.where(changes.c.entry < before)
        async with self._sql.read() as connection:
            return tuple(_change(row) for row in await connection.execute(query))


async def _mark(connection: AsyncConnection) -> str:
    row = (await connection.execute(sa.select(state))).one()
    return f"{row.epoch}-{row.revision}"


async def _rows(connection: AsyncConnection, query: sa.Select[*tuple[object, ...]]) -> tuple[OverrideRow, ...]:
    return tuple(
        OverrideRow(
            name=row.name,
            scope=Scope(row.instance, row.service, row.zone, row.region, row.percent),
            held=Held(_decode_value(row.value), row.percent, row.expires_at),
            set_at=row.set_at,
            set_by=row.set_by,
            reason=row.reason,
        )
        for row in await connection.execute(query)
    )


async def _check_room(connection: AsyncConnection, name: str) -> None:
    count = sa.select(sa.func.count()).select_from(overrides)
    total = (await connection.execute(count)).scalar_one()
    own = (await connection.execute(count.where(overrides.c.name == name))).scalar_one()
    if total >= MOST_OVERRIDES or own >= MOST_OF_ONE:
        raise Conflict(
            f"There are {total} values already, {own} of them of {name}; take some back that are not needed any more."
        )


async def _sweep(connection: AsyncConnection, now: float) -> None:
    for row in await _rows(connection, sa.select(overrides).where(_expired(now)).order_by(overrides.c.expires_at)):
        await connection.execute(sa.delete(overrides).where(_is(row.name, row.scope)))
        at = row.held.expires_at or now
        await _record(connection, Change(row.name, row.scope, None, at, EXPIRY, "expired", row.reason), row.held)


async def _record(connection: AsyncConnection, change: Change, old: Held | None) -> None:
    said = change.held or old
    scope = msgspec.structs.replace(change.scope, percent=said.percent if said else 100.0)
    row = {
        "at": change.at,
        "who": change.who,
        "action": change.action,
        "name": change.name,
        "scope": _json(scope),
        "old": None if old is None else _json(old),
        "new": None if change.held is None else _json(change.held),
        "reason": change.reason,
    }
    inserted = await connection.execute(sa.insert(changes).values(row))
    (entry,) = inserted.inserted_primary_key or (0,)
    await connection.execute(sa.delete(changes).where(changes.c.entry <= entry - KEPT_CHANGES))
    await connection.execute(sa.update(state).values(revision=state.c.revision + 1))


def _values(change: Change, held: Held) -> dict[str, object]:
    scope = change.scope
    return {
        "name": change.name,
        "instance": scope.instance,
        "service": scope.service,
        "zone": scope.zone,
        "region": scope.region,
        "canary": scope.percent < 100,
        "percent": held.percent,
        "value": _json(held.value),
        "expires_at": held.expires_at,
        "set_at": change.at,
        "set_by": change.who,
        "reason": change.reason,
    }


def _is(name: str, scope: Scope) -> sa.ColumnElement[bool]:
    return sa.and_(
        overrides.c.name == name,
        overrides.c.instance == scope.instance,
        overrides.c.service == scope.service,
        overrides.c.zone == scope.zone,
        overrides.c.region == scope.region,
        overrides.c.canary == (scope.percent < 100),
    )


def _expired(now: float) -> sa.ColumnElement[bool]:
    return overrides.c.expires_at <= now


def _change(row: sa.Row[*tuple[object, ...]]) -> ChangeRow:
    found = row._mapping  # noqa: SLF001 -- SQLAlchemy's documented name
    return ChangeRow(
        entry=found["entry"],
        at=found["at"],
        who=found["who"],
        action=found["action"],
        name=found["name"],
        scope=msgspec.json.decode(found["scope"], type=Scope),
        old=None if found["old"] is None else msgspec.json.decode(found["old"], type=Held),
        new=None if found["new"] is None else msgspec.json.decode(found["new"], type=Held),
        reason=found["reason"],
    )


def _words(scope: Scope) -> str:
    whole = str(msgspec.structs.replace(scope, percent=100.0))
    place = whole if whole == "everywhere" else f"for {whole}"
    return f"as a percentage {place}" if scope.percent < 100 else place


def _json(value: Value | Scope | Held) -> str:
    return msgspec.json.encode(value).decode()
