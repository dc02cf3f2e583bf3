"""How an engine is chosen, and what is particular to the SQL engines."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from kinema.core.errors import BadInput, StorageFull, TooLarge, Unavailable
from kinema.storage import content
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.engines import BLOBS, SQL, open_blobs, open_sql
from kinema.storage.sql_sqlite import SqliteSql


def test_an_empty_url_is_the_embedded_engine(tmp_path: Path) -> None:
    assert isinstance(open_blobs(tmp_path), FileBlobs)
    assert isinstance(open_sql(tmp_path, "", "catalog"), SqliteSql)


@pytest.mark.parametrize("url", ["ftp://host/x", "/var/lib/blobs", "s3:", "s3:///no-bucket", "s3://bucket?colour=red"])
def test_an_address_that_is_not_understood_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match="blobs_url"):
        open_blobs(tmp_path, url)


@pytest.mark.parametrize("url", ["mysql://host/x", "sqlite:///x.db"])
def test_a_database_that_is_not_supported_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match="sql_url"):
        open_sql(tmp_path, url, "catalog")


def test_a_schema_name_is_checked(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="schema"):
        open_sql(tmp_path, "postgresql://host/x", 'x"; drop')


def test_every_row_of_the_tables_has_its_module(tmp_path: Path) -> None:
    urls = {"": "", "s3": "s3://bucket", "postgresql": "postgresql://host/name"}
    for scheme in BLOBS:
        open_blobs(tmp_path, urls[scheme])
    for scheme in SQL:
        open_sql(tmp_path, urls[scheme], "catalog")


def test_grown_engines_are_not_imported_for_the_embedded_ones(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kinema.storage.engines import open_blobs, open_sql\n"
        f"open_blobs(Path({str(tmp_path)!r})); open_sql(Path({str(tmp_path)!r}), '', 'catalog')\n"
        "assert not {'obstore', 'psycopg'} & set(sys.modules), 'imported'"
    )
    subprocess.run([os.sys.executable, "-c", code], check=True)


async def test_an_unreachable_postgresql_is_unavailable(tmp_path: Path) -> None:
    sql = open_sql(tmp_path, f"postgresql://nobody@/nothing?host={tmp_path}", "catalog")
    with pytest.raises(Unavailable, match="cannot be reached"):
        async with sql.transaction():
            pass
    with pytest.raises(Unavailable):
        await sql.migrate("catalog")
    await sql.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_under_sqlite_is_said_and_undone(small_disk: Path) -> None:
    sql = SqliteSql(small_disk / "full.db")
    async with sql.transaction() as connection:
        await connection.execute(sa.text("CREATE TABLE t (a BLOB)"))
    with pytest.raises(StorageFull, match="free some space"):
        async with sql.transaction() as connection:
            await connection.execute(sa.text("INSERT INTO t VALUES (zeroblob(3000000))"))
    async with sql.read() as connection:
        assert (await connection.execute(sa.text("SELECT count(*) FROM t"))).scalar_one() == 0
    async with sql.transaction() as connection:
        await connection.execute(sa.text("INSERT INTO t VALUES (x'00')"))
    await sql.close()


async def test_sqlite_commits_are_durable_and_readers_go_on(tmp_path: Path) -> None:
    sql = SqliteSql(tmp_path / "one.db")
    async with sql.transaction() as connection:
        assert (await connection.execute(sa.text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await connection.execute(sa.text("PRAGMA synchronous"))).scalar_one() == 2
        assert (await connection.execute(sa.text("PRAGMA foreign_keys"))).scalar_one() == 1
    assert (tmp_path / "one.db").stat().st_mode & 0o077 == 0
    await sql.close()


async def test_a_writer_that_never_gets_its_turn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kinema.storage.sql_sqlite._BUSY_SECONDS", 0.2)
    first, second = SqliteSql(tmp_path / "one.db"), SqliteSql(tmp_path / "one.db")
    async with first.transaction():
        for waiting in (first, second):  # in this process by its own queue, in another by SQLite's lock
            with pytest.raises(Unavailable, match="busy"):
                async with waiting.transaction():
                    pass
    async with second.transaction():
        pass
    await asyncio.gather(first.close(), second.close())


async def test_reading_all_has_a_limit(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.put("a", bytes(100))
    assert await content.read_all(blobs, "a", limit=100) == bytes(100)
    with pytest.raises(TooLarge):
        await content.read_all(blobs, "a", limit=99)


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n"])
def test_a_key_is_made_from_a_digest_only(digest: str) -> None:
    with pytest.raises(BadInput, match="digest"):
        content.content_key("media", digest)
