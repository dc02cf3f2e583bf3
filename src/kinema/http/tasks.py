"""Handlers that need to wait: a coroutine for one exchange, ended when the client goes away."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from kinema.http.exchange import Exchange

_running: set[asyncio.Task[Any]] = set()


def spawn(exchange: Exchange, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run a coroutine that answers the exchange. Its error becomes problem+json; a disconnect cancels it."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _running.add(task)
    exchange.on_disconnect = partial(_cancel, task)
    task.add_done_callback(partial(_settle, exchange))
    return task


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _settle(exchange: Exchange, task: asyncio.Task[None]) -> None:
    _running.discard(task)
    exchange.on_disconnect = None
    if task.cancelled():
        exchange.abort()
        return
    error = task.exception()
    if error is not None:
        exchange.fail(error)
    elif not exchange.finished:
        exchange.fail(RuntimeError(f"The handler of {exchange.method} {exchange.path} returned without an answer."))
