"""The telemetry service's app: its parts put together."""

from collections.abc import Sequence

from litestar import Litestar

from kinema.core.clock import Clock
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.observe.objectives import Objective
from kinema.rpc.service import create_app
from kinema.services.telemetry.endpoints import ROUTES
from kinema.services.telemetry.intake import Intake
from kinema.services.telemetry.repository import Repository
from kinema.services.telemetry.retention import Retention
from kinema.services.telemetry.service import Telemetry
from kinema.storage.ports import Sql


def create_telemetry(
    *,
    instance: str,
    sql: Sql,
    keys: KeyRing,
    clock: Clock,
    objectives: Sequence[Objective],
    properties: Properties | None = None,
) -> Litestar:
    """Return the app of one telemetry instance; it brings its tables up to date when it starts.

    `properties` say how much is kept; without them the defaults hold. The caller owns `sql` and closes it after the app.
    """
    repository = Repository(sql, objectives)
    intake = Intake(repository, clock)
    telemetry = Telemetry(repository, Retention(sql, properties or Properties()), objectives, clock)

    async def start() -> None:
        await sql.migrate("telemetry")
        await intake.start()
        await telemetry.start()

    return create_app(
        service="telemetry",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=ROUTES,
        provide={"intake": intake, "telemetry": telemetry},
        on_startup=[start],
        on_shutdown=[intake.stop, telemetry.stop],
        ready=lambda: telemetry.ready,
    )
