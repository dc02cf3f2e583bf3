import pytest

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.services.catalog.app import create_catalog
from kinema.storage.engines import open_blobs, open_sql
from tests.support.api import no_faults
from tests.support.services import Nobody, as_


@pytest.mark.parametrize("role", ["viewer", "service"])
def test_no_request_makes_catalog_fail(tmp_path, role):
    clock, keys = SystemClock(), KeyRing(tmp_path)
    sql, blobs = open_sql(tmp_path, "", "catalog"), open_blobs(tmp_path)
    app = create_catalog(instance="catalog-1", sql=sql, blobs=blobs, keys=keys, clock=clock, calls=Nobody())
    no_faults(app, as_(role, keys, clock))
