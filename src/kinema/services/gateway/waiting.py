"""Waiting for a filter that has to wait itself, up to its deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from kinema.core.errors import DeadlineExceeded

T = TypeVar("T")

RAISED = (Exception, asyncio.CancelledError, SystemExit)
"""What a filter may raise and what is then its request's answer: `exit()` and a cancelled wait of its own are no more than that."""

_abandoned: set[asyncio.Future[Any]] = set()


def called(apply: Callable[..., T], *given: object, name: str) -> T:
    """Call a filter in a task, and raise RuntimeError in the place of what would end that: nobody has cancelled it."""
    try:
        return apply(*given)
    except (asyncio.CancelledError, SystemExit) as error:
        raise RuntimeError(f"The filter {name} ended with {error!r}.") from error


async def within(waiting: Awaitable[T], seconds: float, name: str) -> T:
    """Return what a filter's awaitable gives, or raise what it raises. Raises DeadlineExceeded when it takes longer.

    It is cancelled then, and not waited for: a filter may ignore that. Raises RuntimeError in the place of what would end the
    caller, who is not the one that was cancelled or wants to exit.
    """
    task = asyncio.get_running_loop().create_task(_contained(waiting, name))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        if task.cancelled():
            raise RuntimeError(f"The filter {name} was cancelled from within.")
        return task.result()
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)
    raise DeadlineExceeded(f"The filter {name} did not finish within {seconds:g} s; try again, or tell the operator.")


async def _contained(waiting: Awaitable[T], name: str) -> T:
    try:
        return await waiting
    except SystemExit as error:  # it would end the event loop, whoever else is served by it
        raise RuntimeError(f"The filter {name} tried to end the gateway.") from error


def _forget(task: asyncio.Future[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nothing is logged about it later
