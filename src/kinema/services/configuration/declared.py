"""Every property that there is: the modules that declare them, one row each, imported when they are first asked for.

Services do not import each other; this table is the one place that knows where others declare what operators may change.
A test compares it with the sources, and docs/properties.md with it.
"""

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from kinema.core.properties import Property

MODULES = (
    "kinema.core.log_level",
    "kinema.rpc.tuning",
    "kinema.services.discovery.preservation",
    "kinema.services.encoding.flow.codec_policy",
    "kinema.services.encoding.flow.plan",
    "kinema.services.encoding.jobs",
    "kinema.services.encoding.protection.encryption",
    "kinema.services.gateway.limits",
    "kinema.services.gateway.push_delivery",
    "kinema.services.telemetry.retention",
)


@functools.cache
def declared() -> Mapping[str, Property[Any]]:
    """Return the properties by name, in the order of their names. The first call imports what it must, tens of milliseconds."""
    found: dict[str, Property[Any]] = {}
    for module in MODULES:
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, Property):
                found[value.name] = value
    return dict(sorted(found.items()))
