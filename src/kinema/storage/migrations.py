"""Schema migrations without alembic's command line: version scripts beside each service, run by its process.

A service keeps scripts in `services/<name>/migrations/`, one file a version:

    revision = "0002"
    down_revision = "0001"

    def upgrade() -> None:
        op.add_column("titles", sa.Column("synopsis", sa.Text, nullable=False, server_default=""))

There is no `env.py` and no ini file. All pending scripts run in one write transaction of the engine, so a failure
undoes all of them (on SQLite too: its DDL is transactional when BEGIN is issued explicitly) and processes that
start at the same moment take turns.
"""

import threading
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine

import kinema
from kinema.core.errors import Unavailable

SERVICES = Path(kinema.__file__).parent / "services"

_alembic = threading.Lock()  # alembic.op is one per process; a cell migrates several services


def upgrade(engine: Engine, service: str, services: Path = SERVICES) -> None:
    """Run the service's scripts that its database has not seen. Blocks: call it in a thread.

    `Unavailable` when the database is of a version that this program does not know.
    """
    directory = str(services / service / "migrations")
    script = ScriptDirectory(directory, version_locations=[directory])

    def steps(revision: str, _context: MigrationContext) -> list[RevisionStep]:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 -- what every generated env.py ends up calling

    with _alembic, EnvironmentContext(Config(), script, fn=steps) as environment, engine.begin() as connection:
        environment.configure(connection=connection)
        try:
            environment.run_migrations()
        except CommandError as error:
            raise Unavailable(
                f"The database of {service} cannot be brought to this program's version ({error}); "
                "was it last used by a newer Kinema?"
            ) from error
