import ast
from pathlib import Path

import pytest

import kinema
from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.services.configuration.app import create_configuration
from kinema.services.configuration.declared import MODULES, declared
from kinema.storage.engines import open_sql
from tests.support.api import no_faults
from tests.support.services import as_
from tests.unit.configuration.test_configuration import Everybody, Names

SOURCE = Path(kinema.__file__).parent


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


def declares_properties(path):
    """Say whether a module has a constant that is a Property."""
    for node in ast.parse(path.read_text()).body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call):
            function = value.func.value if isinstance(value.func, ast.Subscript) else value.func
            if isinstance(function, ast.Name) and function.id == "Property":
                return True
    return False


def test_the_table_names_every_module_that_declares_properties():
    found = [
        path for path in sorted(SOURCE.rglob("*.py")) if "Property" in path.read_text() and declares_properties(path)
    ]
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in found]
    assert sorted(MODULES) == names


def test_no_two_properties_share_a_name_or_a_variable():
    import importlib

    from kinema.core.properties import Property

    every = {
        id(value): value
        for module in MODULES
        for value in vars(importlib.import_module(module)).values()
        if isinstance(value, Property)
    }
    assert len(declared()) == len(every)
    assert len({one.variable for one in every.values()}) == len(every)
