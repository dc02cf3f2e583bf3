"""Fixtures of the storage contract: each port's suite gets every engine in turn, and other processes to race with."""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from kinema.storage.engines import open_blobs
from kinema.storage.ports import Blobs, Sql
from tests.contract.storage.storage_child import open_database
from tests.contract.storage.storage_servers import S3_KEY, S3_SECRET, postgresql, seaweedfs

FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
    )
    op.create_table("notes", sa.Column("counter", sa.Text, sa.ForeignKey("counters.name"), nullable=False))
    op.execute("INSERT INTO counters (name, value) VALUES ('shared', 0)")
"""


class Child:
    """A process of `storage_child.py`."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("storage_child.py")), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: object) -> Child:
            started = Child(*map(str, arguments))
            stack.callback(started.process.communicate)
            stack.callback(started.kill)
            return started

        yield start


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["files", "s3"])
def blobs_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The `blobs_url` setting of an engine with nothing in it."""
    if request.param == "files":
        return ""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_SECRET)
    endpoint = request.getfixturevalue("s3_endpoint")
    return f"s3://kinema-tests/{secrets.token_hex(8)}?endpoint={endpoint}"


@pytest.fixture
def blobs(blobs_url: str, tmp_path: Path) -> Blobs:
    return open_blobs(tmp_path, blobs_url)


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """A directory of services, of which "counting" has a migration."""
    directory = tmp_path / "services" / "counting" / "migrations"
    directory.mkdir(parents=True)
    (directory / "0001_first.py").write_text(FIRST)
    return tmp_path / "services"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: an SQLite path, or a PostgreSQL url with `#schema` (see `storage_child.open_database`)."""
    if request.param == "sqlite":
        return str(tmp_path / "sql" / "counting.db")
    return f"{request.getfixturevalue('postgres_url')}#t_{secrets.token_hex(8)}"


@pytest.fixture
async def empty_sql(database: str, services: Path) -> AsyncIterator[Sql]:
    """The engine before its first migration."""
    sql = open_database(database, str(services))
    yield sql
    await sql.close()


@pytest.fixture
async def sql(empty_sql: Sql) -> Sql:
    """The engine with the tables of "counting"."""
    await empty_sql.migrate("counting")
    return empty_sql
