import pytest

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.services.members.app import create_members
from kinema.storage.engines import open_sql
from tests.support.api import no_faults
from tests.support.services import as_
from tests.unit.members.test_members import cheap


@pytest.mark.parametrize("role", ["viewer", "service"])
def test_no_request_makes_members_fail(tmp_path, role):
    clock, keys = SystemClock(), KeyRing(tmp_path)
    app = create_members(
        instance="members-1",
        sql=open_sql(tmp_path, "", "members"),
        keys=keys,
        clock=clock,
        session_days=90,
        passwords=cheap(),
    )
    no_faults(app, as_(role, keys, clock))
