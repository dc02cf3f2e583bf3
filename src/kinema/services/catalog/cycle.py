"""The cycle by which a change reaches readers: populate, validate, publish, announce.

    one write transaction   the change itself; populate a snapshot from what is now written; validate it;
                            reserve the next version number               (any failure undoes all of it)
    then                    publish the snapshot as a blob `snapshots/{version}.json`, which can be created only once
    then                    announce: move the one row on, never back

Writers are serialised by the transaction, so a higher version always holds the newer state, whichever instance publishes
it and in whatever order they finish. A process that dies between the steps leaves a reserved version that nobody
announced; `recover`, which every instance runs from time to time, then publishes the present state as a new version.
"""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core import log
from kinema.core.clock import Clock
from kinema.services.catalog import repository, snapshot
from kinema.services.catalog.snapshot import SnapshotBody
from kinema.storage.ports import Blobs, Sql

_GIVEN_UP_SECONDS = 10.0  # a version that is not announced after this long was left behind by a process that died
_logger = log.get_logger(__name__)

Change = Callable[[AsyncConnection], Awaitable[bool]]
"""A change to what is written; says whether it shows in the published catalogue."""


class Cycle:
    """Publishes the catalogue."""

    def __init__(self, sql: Sql, blobs: Blobs, clock: Clock) -> None:
        self._sql = sql
        self._blobs = blobs
        self._clock = clock

    async def run(self, change: Change) -> int | None:
        """Make a change and publish it when it shows; return the version that shows it, else None.

        Whatever `change` raises undoes it. A failed validation is a Conflict and undoes it too. When the blobs fail after
        that, the change stands and is announced later.
        """
        async with self._sql.transaction() as connection:
            if not await change(connection):
                return None
            found = await repository.published_titles(connection)
            now = self._clock.now()
            body = SnapshotBody(
                version=await repository.reserve_version(connection, now, len(found)), created_at=now, titles=found
            )
            await asyncio.to_thread(snapshot.validate, body)
        await self._blobs.put(snapshot.snapshot_key(body.version), await asyncio.to_thread(snapshot.encode, body))
        async with self._sql.transaction() as connection:
            await repository.announce(connection, body.version)
        _logger.info("catalogue announced", version=body.version, titles=len(found))
        return body.version

    async def recover(self) -> None:
        """Publish the present state when a version was reserved and its process died before announcing it."""
        before = self._clock.now() - _GIVEN_UP_SECONDS
        async with self._sql.read() as connection:
            if not await repository.unannounced(connection, before):
                return

        async def still_needed(connection: AsyncConnection) -> bool:
            return await repository.unannounced(connection, before)

        await self.run(still_needed)
