"""SQL in PostgreSQL, a schema per service: the engine to grow into.

The port promises one writer at a time per service. Here that is an advisory lock which every write transaction takes
before its first statement, so what holds on SQLite holds here: what a block has read cannot change under
it, and there are no serialization failures or deadlocks to retry. Reads are REPEATABLE READ snapshots.
A connection that died in the pool is replaced before a block begins; a block itself never runs twice.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from kinema.core.errors import BadInput
from kinema.storage import migrations
from kinema.storage.sql_errors import translated

_BUSY_SECONDS = 15
_READERS = 4
_WRITERS = 2  # one at work, one that already waits for the lock

_SERVICE = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)


class PostgresSql:
    """The `Sql` port on one schema of a PostgreSQL database."""

    def __init__(self, url: str, schema: str, services: Path = migrations.SERVICES) -> None:
        if not _SERVICE.fullmatch(schema):
            raise BadInput(f"{schema!r} cannot name a schema; use a lower-case letter, then letters, digits or _.")
        self._schema = schema
        self._services = services
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._arguments = {"options": f"-c search_path={schema} -c lock_timeout={_BUSY_SECONDS}s", "connect_timeout": 5}
        self._writer = create_async_engine(
            self._url,
            pool_size=_WRITERS,
            max_overflow=0,
            pool_timeout=_BUSY_SECONDS,
            pool_pre_ping=True,
            connect_args=self._arguments,
        )
        self._readers = create_async_engine(
            self._url,
            pool_size=_READERS,
            max_overflow=0,
            pool_timeout=_BUSY_SECONDS,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            connect_args=self._arguments,
        )
        _one_writer(self._writer.sync_engine, schema)
        _read_only(self._readers.sync_engine)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction; see the port."""
        with translated(self._schema):
            async with self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction over one snapshot; see the port."""
        with translated(self._schema):
            async with self._readers.begin() as connection:
                yield connection

    async def migrate(self, service: str) -> None:
        """Bring the schema to its newest version; see the port."""
        with translated(self._schema):
            await asyncio.to_thread(self._upgrade, service)

    async def close(self) -> None:
        """Give up all connections."""
        await self._readers.dispose()
        await self._writer.dispose()

    def _upgrade(self, service: str) -> None:
        engine = create_engine(self._url, pool_size=1, connect_args=self._arguments)
        _one_writer(engine, self._schema)
        try:
            with engine.begin() as connection:
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {self._schema}"))
            migrations.upgrade(engine, service, self._services)
        finally:
            engine.dispose()


def open_postgres(data_dir: Path, url: str, service: str) -> PostgresSql:  # noqa: ARG001 -- the signature of all rows
    """Row of `engines.SQL`: the schema named for the service in the database `postgresql://user:password@host/name`."""
    return PostgresSql(url, service)


def _one_writer(engine: Engine, schema: str) -> None:
    """Let every transaction begin with the service's lock. READ COMMITTED: each statement sees what the lock protects."""

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('kinema.' || :schema, 0))"), {"schema": schema}
        )


def _read_only(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
