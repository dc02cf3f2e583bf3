"""The contract of the port `Sql`, on every engine."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from kinema.core.errors import Unavailable
from kinema.storage.ports import Sql
from kinema.storage.sql_postgres import PostgresSql

counters = sa.table("counters", sa.column("name", sa.Text), sa.column("value", sa.Integer))
notes = sa.table("notes", sa.column("counter", sa.Text))


async def value(sql: Sql, name: str = "shared") -> int | None:
    async with sql.read() as connection:
        found: int | None = (
            await connection.execute(sa.select(counters.c.value).where(counters.c.name == name))
        ).scalar_one_or_none()
        return found


async def add(sql: Sql, name: str, number: int = 1) -> None:
    async with sql.transaction() as connection:
        await connection.execute(counters.insert().values(name=name, value=number))


async def tables(sql: Sql) -> set[str]:
    async with sql.read() as connection:
        return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))


async def test_what_is_committed_is_read(sql: Sql) -> None:
    await add(sql, "one", 7)
    assert await value(sql, "one") == 7


async def test_an_error_rolls_back(sql: Sql) -> None:
    with pytest.raises(ZeroDivisionError):
        async with sql.transaction() as connection:
            await connection.execute(counters.insert().values(name="one", value=7))
            raise ZeroDivisionError
    assert await value(sql, "one") is None
    await add(sql, "one")


async def test_a_cancelled_block_rolls_back_and_frees_the_turn(sql: Sql) -> None:
    inside = asyncio.Event()

    async def block() -> None:
        async with sql.transaction() as connection:
            await connection.execute(counters.insert().values(name="one", value=7))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await inside.wait()
    waiting = asyncio.create_task(add(sql, "two"))
    given_up = asyncio.create_task(add(sql, "three"))
    await asyncio.sleep(0)
    given_up.cancel()
    task.cancel()
    await waiting
    assert [await value(sql, name) for name in ("one", "two", "three")] == [None, 1, None]


async def test_a_violated_constraint_is_an_integrity_error(sql: Sql) -> None:
    await add(sql, "one")
    with pytest.raises(IntegrityError):
        await add(sql, "one")
    with pytest.raises(IntegrityError):  # foreign keys are enforced
        async with sql.transaction() as connection:
            await connection.execute(notes.insert().values(counter="nobody"))


async def test_reading_refuses_writes(sql: Sql) -> None:
    with pytest.raises(DBAPIError):
        async with sql.read() as connection:
            await connection.execute(counters.insert().values(name="one", value=7))
    assert await value(sql, "one") is None
    await add(sql, "one")


async def test_a_read_sees_one_snapshot_and_waits_for_nobody(sql: Sql) -> None:
    count = sa.select(sa.func.count()).select_from(counters)
    async with sql.read() as reader:
        assert (await reader.execute(count)).scalar_one() == 1
        async with sql.transaction() as writer:
            await writer.execute(counters.insert().values(name="one", value=7))
            assert (await reader.execute(count)).scalar_one() == 1
        assert (await reader.execute(count)).scalar_one() == 1
    async with sql.read() as reader:
        assert (await reader.execute(count)).scalar_one() == 2


async def test_many_tasks_read_then_write_without_losing_any(sql: Sql) -> None:
    async def increase() -> None:
        async with sql.transaction() as connection:
            now = (await connection.execute(sa.select(counters.c.value))).scalar_one()
            await asyncio.sleep(0)
            await connection.execute(counters.update().values(value=now + 1))

    await asyncio.gather(*(increase() for _ in range(50)))
    assert await value(sql) == 50


async def test_two_processes_read_then_write_without_losing_any(
    sql: Sql, database: str, services: Path, child: Callable[..., Any]
) -> None:
    writers = [child("count_up", database, services, 60) for _ in range(2)]
    assert [writer.line() for writer in writers] == ["ready", "ready"]
    for writer in writers:
        writer.go()
    assert [writer.line() for writer in writers] == ["done", "done"]
    assert await value(sql) == 120


async def test_a_commit_survives_the_death_of_its_process(
    sql: Sql, database: str, services: Path, child: Callable[..., Any]
) -> None:
    writer = child("die", database, services, "committed")
    assert writer.process.wait(30) == -9
    assert await value(sql, "child") == 1


async def test_a_process_killed_before_its_commit_leaves_nothing_and_blocks_nobody(
    sql: Sql, database: str, services: Path, child: Callable[..., Any]
) -> None:
    writer = child("die", database, services, "open")
    assert writer.line() == "open"
    waiting = asyncio.create_task(add(sql, "after"))
    writer.kill()
    await waiting
    assert await value(sql, "child") is None


async def test_migrating_again_changes_nothing(sql: Sql) -> None:
    await add(sql, "one")
    await sql.migrate("counting")
    assert await value(sql, "one") == 1


async def test_processes_that_migrate_at_the_same_moment_agree(
    empty_sql: Sql, database: str, services: Path, child: Callable[..., Any]
) -> None:
    racers = [child("migrate", database, services, "counting") for _ in range(3)]
    assert [racer.line() for racer in racers] == ["ready"] * 3
    for racer in racers:
        racer.go()
    assert [racer.line() for racer in racers] == ["done"] * 3
    assert await value(empty_sql) == 0


async def test_a_later_version_is_added_to_what_is_there(sql: Sql, services: Path) -> None:
    await add(sql, "one", 7)
    (services / "counting" / "migrations" / "0002_unit.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision = '0002'\ndown_revision = '0001'\n\n"
        "def upgrade():\n    op.add_column('counters', sa.Column('unit', sa.Text, nullable=False, server_default='s'))\n"
    )
    await sql.migrate("counting")
    async with sql.read() as connection:
        rows = (await connection.execute(sa.text("SELECT value, unit FROM counters WHERE name = 'one'"))).all()
    assert rows == [(7, "s")]


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(sql: Sql, services: Path) -> None:
    script = services / "counting" / "migrations" / "0002_broken.py"
    script.write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision = '0002'\ndown_revision = '0001'\n\n"
        "def upgrade():\n    op.create_table('half', sa.Column('a', sa.Integer))\n    raise ZeroDivisionError\n"
    )
    before = await tables(sql)
    with pytest.raises(ZeroDivisionError):
        await sql.migrate("counting")
    assert await tables(sql) == before
    script.unlink()
    await sql.migrate("counting")


async def test_a_database_of_a_newer_program_is_refused(sql: Sql) -> None:
    async with sql.transaction() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0099'"))
    with pytest.raises(Unavailable, match="newer"):
        await sql.migrate("counting")


async def test_several_services_migrate_at_once_in_one_process(sql: Sql, services: Path) -> None:
    """Only the scripts of the service asked for are run, whatever else this process migrates meanwhile."""
    for name in ("second", "third"):
        directory = services / name / "migrations"
        directory.mkdir(parents=True)
        (directory / "0001_first.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f"revision = '{name}'\ndown_revision = None\n\n"
            f"def upgrade():\n    op.create_table('{name}', sa.Column('a', sa.Integer))\n"
        )
    async with sql.transaction() as connection:
        await connection.execute(sa.text("DELETE FROM alembic_version"))
    await sql.migrate("second")
    async with sql.transaction() as connection:
        await connection.execute(sa.text("DELETE FROM alembic_version"))
    await sql.migrate("third")
    assert {"second", "third"} < await tables(sql)


async def test_a_connection_that_died_in_the_pool_is_replaced(postgres_url: str, services: Path) -> None:
    """PostgreSQL restarts or drops idle connections; the next block must not notice."""
    sql = PostgresSql(postgres_url, "t_dropped", services)
    await sql.migrate("counting")
    await add(sql, "one")
    assert await value(sql, "one") == 1
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    await add(sql, "two")
    assert await value(sql, "two") == 1
    await sql.close()


async def test_services_of_one_postgresql_do_not_see_each_other(postgres_url: str, services: Path) -> None:
    first, second = (PostgresSql(postgres_url, name, services) for name in ("t_first", "t_second"))
    for sql in (first, second):
        await sql.migrate("counting")
    async with first.transaction() as connection:  # a block of one service does not wait for one of another
        await connection.execute(counters.insert().values(name="one", value=1))
        await add(second, "two")
    assert (await value(first, "two"), await value(second, "one")) == (None, None)
    await first.close()
    await second.close()
