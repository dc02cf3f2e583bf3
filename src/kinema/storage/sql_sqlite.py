"""SQL in a SQLite file per service: the embedded engine.

WAL lets readers go on beside one writer. Each process has one connection that writes, behind a fair lock, and a few
that read; BEGIN IMMEDIATE takes SQLite's own write lock first, so that two processes on one file queue up by
its busy handler instead of failing in the middle. synchronous=FULL: a commit that returned survives a power cut.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from kinema.core.errors import Unavailable
from kinema.storage import migrations
from kinema.storage.sql_errors import translated

_BUSY_SECONDS = 15.0
_READERS = 4


class SqliteSql:
    """The `Sql` port on one SQLite file, which several processes may have open."""

    def __init__(self, path: Path, services: Path = migrations.SERVICES) -> None:
        self._path = path
        self._services = services
        url = URL.create("sqlite+aiosqlite", database=str(path))
        self._writer = create_async_engine(url, pool_size=1, max_overflow=0)
        self._readers = create_async_engine(url, pool_size=_READERS, max_overflow=0, pool_timeout=_BUSY_SECONDS)
        _adjust(self._writer.sync_engine, begin="BEGIN IMMEDIATE")
        _adjust(self._readers.sync_engine, begin="BEGIN", read_only=True)
        self._turn = asyncio.Lock()
        self._prepared = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction; see the port."""
        await self._prepare()
        async with self._my_turn():
            with translated(self._path.name):
                async with self._writer.begin() as connection:
                    yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction over one snapshot; see the port."""
        await self._prepare()
        with translated(self._path.name):
            async with self._readers.begin() as connection:
                yield connection

    async def migrate(self, service: str) -> None:
        """Bring the schema to its newest version; see the port."""
        await self._prepare()
        with translated(self._path.name):
            await asyncio.to_thread(self._upgrade, service)

    async def close(self) -> None:
        """Give up all connections."""
        await self._readers.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        """Writers of this process go one after the other, in the order they came."""
        try:
            async with asyncio.timeout(_BUSY_SECONDS):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Unavailable(f"The database {self._path.name} is busy; try again shortly.") from error
        try:
            yield
        finally:
            self._turn.release()

    async def _prepare(self) -> None:
        if not self._prepared:
            with translated(self._path.name):
                await asyncio.to_thread(_create_in_wal_mode, self._path)
            self._prepared = True

    def _upgrade(self, service: str) -> None:
        engine = create_engine(URL.create("sqlite", database=str(self._path)))
        _adjust(engine, begin="BEGIN IMMEDIATE")
        try:
            migrations.upgrade(engine, service, self._services)
        finally:
            engine.dispose()


def open_sqlite(data_dir: Path, url: str, service: str) -> SqliteSql:  # noqa: ARG001 -- the signature of all rows
    """Row of `engines.SQL`: the file `<data_dir>/sql/<service>.db`; there is nothing to configure in `url`."""
    return SqliteSql(data_dir / "sql" / f"{service}.db")


def _adjust(engine: Engine, *, begin: str, read_only: bool = False) -> None:
    """Set every new connection up and say how its transactions begin (the driver's own notion is switched off)."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _create_in_wal_mode(path: Path) -> None:
    """Make sure that the file exists and is in WAL mode, which it then stays in.

    Changing the mode needs the file for itself and does not wait for others, so processes take turns by a lock file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
