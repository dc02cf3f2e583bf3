"""The executors, by the scheme of the address that names them: adding one is one row. Rows are imported when asked for.

An empty address means this machine.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from kinema.core.errors import BadInput
from kinema.services.encoding.execution.machine import Machine
from kinema.services.encoding.execution.work import Context, Executor

EXECUTORS = {
    "": "kinema.services.encoding.execution.local:open_local",
}


async def open_executor(address: str, context: Context, machine: Machine | None = None) -> Executor:
    """Return the executor at an address: "" for this machine (as much of it as `machine` says), tcp://host:port for Dask's scheduler.

    Raises BadInput for an address of another kind, Unavailable when nobody answers there.
    """
    scheme = urlsplit(address).scheme
    if scheme not in EXECUTORS or (address and not scheme):
        known = ", ".join(f"{name}://" for name in EXECUTORS if name)
        raise BadInput(f"The scheduler's address {address[:80]!r} begins with none of {known}.")
    module, _, name = EXECUTORS[scheme].partition(":")
    opener: Callable[..., Awaitable[Any]] = getattr(import_module(module), name)
    executor: Executor = await opener(address, context, machine)
    return executor
