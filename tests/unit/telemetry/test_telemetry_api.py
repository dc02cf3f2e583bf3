from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.observe import objectives
from kinema.services.telemetry.app import create_telemetry
from kinema.storage.engines import open_sql
from tests.support.api import no_faults
from tests.support.services import as_


def test_no_request_makes_telemetry_fail(tmp_path):
    clock, keys = SystemClock(), KeyRing(tmp_path)
    app = create_telemetry(
        instance="telemetry-1",
        sql=open_sql(tmp_path, "", "telemetry"),
        keys=keys,
        clock=clock,
        objectives=objectives.load(),
    )
    no_faults(app, as_("service", keys, clock))
