import importlib

import pytest

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties, Property
from kinema.services.configuration.app import create_configuration
from kinema.services.configuration.declared import MODULES, declared
from kinema.storage.engines import open_sql
from tests.support.api import no_faults
from tests.support.services import as_
from tests.unit.configuration.test_configuration import Everybody, Names


@pytest.mark.parametrize("role", ["viewer", "service"])
def test_no_request_makes_configuration_fail(tmp_path, role):
    clock, keys = SystemClock(), KeyRing(tmp_path)
    app = create_configuration(
        instance="configuration-1",
        sql=open_sql(tmp_path, "", "configuration"),
        keys=keys,
        clock=clock,
        properties=Properties(),
        calls=Names(),
        directory=Everybody(),
    )
    no_faults(app, as_(role, keys, clock))


def test_no_two_properties_share_a_name_or_a_variable():
    every = {
        id(value): value
        for module in MODULES
        for value in vars(importlib.import_module(module)).values()
        if isinstance(value, Property)
    }
    assert len(declared()) == len(every)
    assert len({one.variable for one in every.values()}) == len(every)
