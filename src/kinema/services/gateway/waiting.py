"""Waiting for a filter that has to wait itself, up to its deadline."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from kinema.core.errors import DeadlineExceeded

T = TypeVar("T")

_abandoned: set[asyncio.Future[Any]] = set()


async def within(waiting: Awaitable[T], seconds: float, name: str) -> T:
    """Return what a filter's awaitable gives. Raises DeadlineExceeded, naming the filter, when it takes longer.

    It is cancelled then, and not waited for: a filter may ignore that.
    """
    task = asyncio.ensure_future(waiting)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return task.result()
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)
    raise DeadlineExceeded(f"The filter {name} did not finish within {seconds:g} s; try again, or tell the operator.")


def _forget(task: asyncio.Future[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nothing is logged about it later
