"""The configuration service's app: its parts put together."""

from litestar import Litestar

from kinema.core.clock import Clock
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.rpc.service import create_app
from kinema.services.configuration.declared import declared
from kinema.services.configuration.endpoints import ROUTES
from kinema.services.configuration.repository import ConfigurationRepository
from kinema.services.configuration.service import Calls, Configuration, Directory
from kinema.storage.ports import Sql


def create_configuration(
    *,
    instance: str,
    sql: Sql,
    keys: KeyRing,
    clock: Clock,
    properties: Properties,
    calls: Calls,
    directory: Directory,
) -> Litestar:
    """Return the app of one configuration instance; it brings its tables up to date when it starts.

    `properties` are those of the process, whose file and environment the answers show; `calls` and `directory` are rpc's
    client and directory. The caller owns `sql` and closes it after the app.
    """
    configuration = Configuration(ConfigurationRepository(sql), declared, properties, clock, calls, directory)

    async def migrate() -> None:
        await sql.migrate("configuration")

    return create_app(
        service="configuration",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=ROUTES,
        provide={"configuration": configuration, "cursor_keys": keys},
        on_startup=[migrate, configuration.start],
        on_shutdown=[configuration.stop],
    )
