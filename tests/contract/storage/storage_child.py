"""The other process of the contract tests: `python storage_child.py COMMAND ARGUMENT...`; speaks in lines on stdout."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import sqlalchemy as sa

from kinema.storage.engines import open_blobs
from kinema.storage.ports import AlreadyExists, Sql
from kinema.storage.sql_postgres import PostgresSql
from kinema.storage.sql_sqlite import SqliteSql

MIB = 1 << 20


def open_database(place: str, services: str) -> Sql:
    """`place` is a PostgreSQL url with `#schema`, or the path of an SQLite file."""
    if place.startswith("postgresql://"):
        url, _, schema = place.partition("#")
        return PostgresSql(url, schema, Path(services))
    return SqliteSql(Path(place), Path(services))


def say(line: object) -> None:
    print(line, flush=True)  # noqa: T201 -- it is how the two processes talk


def hear() -> str:
    return sys.stdin.readline()


async def race_blobs(data: str, url: str, count: str) -> None:
    """Put keys that another process puts too, from a common start; say how many were won."""
    blobs = open_blobs(Path(data), url)
    say("ready")
    hear()
    won = 0
    for number in range(int(count)):
        try:
            await blobs.put(f"race/{number}", str(os.getpid()).encode())
            won += 1
        except AlreadyExists:
            pass
    say(won)


async def stall_blob(data: str, url: str, key: str) -> None:
    """Begin a put that never ends."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        say("half")
        await asyncio.Event().wait()

    await open_blobs(Path(data), url).put(key, body())


async def big_blob(data: str, url: str, mebibytes: str) -> None:
    """Put and get a big stream; say by how many MiB the process grew at most."""
    blobs = open_blobs(Path(data), url)
    await blobs.put("warm-up", bytes(MIB))

    async def body() -> AsyncIterator[bytes]:
        for _ in range(int(mebibytes)):
            yield os.urandom(MIB)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await blobs.put("big", body())
    size = 0
    async for chunk in blobs.get("big"):
        size += len(chunk)
    assert size == int(mebibytes) * MIB
    say((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


async def count_up(place: str, services: str, times: str) -> None:
    """Read-then-write one counter, from a common start."""
    sql = open_database(place, services)
    say("ready")
    hear()
    for _ in range(int(times)):
        async with sql.transaction() as connection:
            value = (await connection.execute(sa.text("SELECT value FROM counters WHERE name = 'shared'"))).scalar_one()
            statement = sa.text("UPDATE counters SET value = :value WHERE name = 'shared'")
            await connection.execute(statement, {"value": value + 1})
    await sql.close()
    say("done")


async def die(place: str, services: str, when: str) -> None:
    """Insert a row and be killed right after (when=committed) or right before (when=open) the commit."""
    sql = open_database(place, services)
    async with sql.transaction() as connection:
        await connection.execute(sa.text("INSERT INTO counters (name, value) VALUES ('child', 1)"))
        if when == "open":
            say("open")
            await asyncio.Event().wait()
    os.kill(os.getpid(), signal.SIGKILL)


async def migrate(place: str, services: str, service: str) -> None:
    """Migrate from a common start."""
    sql = open_database(place, services)
    say("ready")
    hear()
    await sql.migrate(service)
    await sql.close()
    say("done")


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
