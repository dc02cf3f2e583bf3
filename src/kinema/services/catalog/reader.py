"""Serving from memory: each instance holds one immutable snapshot and follows the announced version.

Once a second the one row that names the version is read; when it has changed, the snapshot is fetched, and one reference is
swapped. Requests keep the snapshot that they began with. When a version cannot be fetched, the present one stays in place.
"""

import asyncio

import msgspec

from kinema.core import log
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, NotFound, Unavailable
from kinema.model.catalog import CatalogVersion
from kinema.services.catalog import repository, snapshot
from kinema.services.catalog.cycle import Cycle
from kinema.services.catalog.snapshot import EMPTY, Snapshot
from kinema.storage.content import read_all
from kinema.storage.ports import Blobs, Sql

_POLL_SECONDS = 1.0
_RECOVER_EVERY = 10  # polls
_MOST_BYTES = 256 * 1024 * 1024
_logger = log.get_logger(__name__)


class Reader:
    """Holds the snapshot that is served."""

    def __init__(self, sql: Sql, blobs: Blobs, clock: Clock, cycle: Cycle) -> None:
        self._sql = sql
        self._blobs = blobs
        self._clock = clock
        self._cycle = cycle
        self._turn = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._snapshot: Snapshot | None = None
        self.version = CatalogVersion(version=0, pinned=False)

    @property
    def ready(self) -> bool:
        """Whether a version has been loaded."""
        return self._snapshot is not None

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that is served. Raises Unavailable before one has been loaded: an empty catalogue would be a lie."""
        if self._snapshot is None:
            raise Unavailable("The catalogue has not been loaded yet; try again in a few seconds.")
        return self._snapshot

    async def kept(self, version: int) -> Snapshot:
        """Return a version that is kept, served or not. Raises NotFound."""
        if self._snapshot is not None and self._snapshot.version == version:
            return self._snapshot
        try:
            return await self._load(version)
        except (NotFound, msgspec.DecodeError) as error:
            raise NotFound(f"Version {version} of the catalogue is not kept; use one of those listed.") from error

    async def start(self) -> None:
        """Load the announced version and follow it from now on."""
        await self.refresh()
        self._following = asyncio.create_task(self._follow(), name="catalog-reader")

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    async def refresh(self) -> None:
        """Serve the version that is announced now; when it cannot be had, say so in the log and go on with the present one."""
        try:
            await self._follow_announced()
        except (KinemaError, msgspec.DecodeError) as error:
            _logger.warning("catalogue stays at its version", version=self.version.version, error=str(error))

    async def _follow_announced(self) -> None:
        async with self._turn:
            async with self._sql.read() as connection:
                version = await repository.served(connection)
            if self._snapshot is None or version.version != self._snapshot.version:
                self._snapshot = await self._load(version.version)
            self.version = version

    async def _load(self, version: int) -> Snapshot:
        if version == 0:
            return EMPTY
        stored = await read_all(self._blobs, snapshot.snapshot_key(version), _MOST_BYTES)
        return await asyncio.to_thread(_open, stored)

    async def _follow(self) -> None:
        polls = 0
        while True:
            await self._clock.sleep(_POLL_SECONDS)
            await self.refresh()
            polls += 1
            if polls % _RECOVER_EVERY == 0:
                await self._recover_or_log()

    async def _recover_or_log(self) -> None:
        try:
            await self._cycle.recover()
        except KinemaError as error:
            _logger.warning("catalogue could not be announced yet", error=str(error))


def _open(stored: bytes) -> Snapshot:
    opened = Snapshot(snapshot.decode(stored))
    _ = opened.home, opened.words  # worked out here, in the thread, not in the first request
    return opened
