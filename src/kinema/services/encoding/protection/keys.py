"""The store of content keys: for each title, tier and generation one key, made at random, sealed by a key of the region's.

A key is stored before anything is encrypted with it. It is found again by title and tier, so that a job that is repeated
encrypts with the same key to the same bytes. `rotate` begins a new generation: what is packaged from then on has new keys,
what was published keeps its own for as long as its version lives. No two titles share a key, so a key that turns up somewhere
names its title, and playback's record of licences names the plays that were given it.

Keys are the region's own here. Another source of keys (a DRM vendor's key server by CPIX or SPEKE) would stand in this place
with the same two methods.
"""

import secrets

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.clock import Clock
from kinema.core.envelope import Sealed, seal, unseal
from kinema.core.keys import KeyRing
from kinema.model.protection import SealedKey, SealedKeys, key_name
from kinema.services.encoding.packaging.command import ContentKey
from kinema.services.encoding.tables import content_keys
from kinema.storage.ports import Sql

_BYTES = 16


class KeyStore:
    """Content keys by title."""

    def __init__(self, sql: Sql, ring: KeyRing, clock: Clock) -> None:
        self._sql = sql
        self._ring = ring
        self._clock = clock

    async def key_for(self, asset: str, tier: str) -> ContentKey:
        """Return the title's newest key of this tier, made now when there is none."""
        async with self._sql.transaction() as connection:
            newest = await self._newest(connection, asset, tier)
            row = newest or await self._make(connection, asset, tier, await self._generation(connection, asset))
        opened = unseal(Sealed(row.sealed_by, row.box), key_name(row.key_id), self._ring)
        return ContentKey(row.key_id, opened.hex(), row.iv)

    async def rotate(self, asset: str) -> int:
        """Begin a new generation of the title's keys and return its number; what is packaged from now on gets new keys."""
        async with self._sql.transaction() as connection:
            tiers = sa.select(content_keys.c.tier).where(content_keys.c.asset == asset).distinct()
            generation = await self._generation(connection, asset) + 1
            for tier in (await connection.scalars(tiers)).all():
                await self._make(connection, asset, tier, generation)
        return generation

    async def sealed(self, asset: str) -> SealedKeys:
        """Return all keys of a title, as they are stored."""
        query = sa.select(content_keys).where(content_keys.c.asset == asset).order_by(content_keys.c.generation)
        async with self._sql.read() as connection:
            rows = (await connection.execute(query)).all()
        return SealedKeys(tuple(SealedKey(row.key_id, Sealed(row.sealed_by, row.box)) for row in rows))

    async def reseal(self) -> int:
        """Seal with the region's newest key what older ones have sealed; return how many keys that were."""
        newest = self._ring.current("content").id
        async with self._sql.transaction() as connection:
            rows = (await connection.execute(sa.select(content_keys).where(content_keys.c.sealed_by != newest))).all()
            for row in rows:
                name = key_name(row.key_id)
                again = seal(unseal(Sealed(row.sealed_by, row.box), name, self._ring), name, self._ring)
                mine = content_keys.c.key_id == row.key_id
                await connection.execute(sa.update(content_keys).where(mine).values(sealed_by=again.by, box=again.box))
        return len(rows)

    async def _newest(self, connection: AsyncConnection, asset: str, tier: str) -> "_Row | None":
        query = (
            sa.select(content_keys)
            .where(content_keys.c.asset == asset, content_keys.c.tier == tier)
            .order_by(content_keys.c.generation.desc())
            .limit(1)
        )
        found = (await connection.execute(query)).mappings().first()
        return None if found is None else _Row(**found)

    async def _generation(self, connection: AsyncConnection, asset: str) -> int:
        latest = sa.select(sa.func.max(content_keys.c.generation)).where(content_keys.c.asset == asset)
        return await connection.scalar(latest) or 1

    async def _make(self, connection: AsyncConnection, asset: str, tier: str, generation: int) -> "_Row":
        key_id = secrets.token_hex(_BYTES)
        sealed = seal(secrets.token_bytes(_BYTES), key_name(key_id), self._ring)
        row = _Row(
            key_id=key_id,
            asset=asset,
            tier=tier,
            generation=generation,
            iv=secrets.token_hex(_BYTES),
            sealed_by=sealed.by,
            box=sealed.box,
            created_at=self._clock.now(),
        )
        await connection.execute(sa.insert(content_keys).values(msgspec.structs.asdict(row)))
        return row


class _Row(msgspec.Struct, frozen=True):
    """A key as it is stored; see the table."""

    key_id: str
    asset: str
    tier: str
    generation: int
    iv: str
    sealed_by: str
    box: bytes
    created_at: float
