"""Every service's migrations make exactly the tables that its code declares, on every engine."""

import importlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from kinema.storage.migrations import SERVICES
from kinema.storage.ports import Sql
from kinema.storage.sql_postgres import PostgresSql
from kinema.storage.sql_sqlite import SqliteSql

NAMES = sorted(path.parent.name for path in SERVICES.glob("*/tables.py"))


@pytest.fixture(params=["sqlite", "postgresql"])
async def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Sql]:
    if request.param == "sqlite":
        sql: Sql = SqliteSql(tmp_path / "service.db")
    else:
        sql = PostgresSql(request.getfixturevalue("postgres_url"), f"s_{secrets.token_hex(8)}")
    yield sql
    await sql.close()


def declared(service: str) -> sa.MetaData:
    module = importlib.import_module(f"kinema.services.{service}.tables")
    (metadata,) = {id(value): value for value in vars(module).values() if isinstance(value, sa.MetaData)}.values()
    return metadata


def differences(connection: sa.Connection, metadata: sa.MetaData) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("service", NAMES)
async def test_migrations_make_the_declared_tables(fresh: Sql, service: str) -> None:
    await fresh.migrate(service)
    async with fresh.read() as connection:
        found = await connection.run_sync(differences, declared(service))
    assert found == []
