"""The line before the handlers of one service instance: drives `kinema.resilience.turns` by the event loop that they run on.

It needs the order of asyncio's own loop: what a poll finds is read behind the callbacks that are due, and begun a turn later.
"""

import asyncio

from kinema.core.clock import Clock
from kinema.resilience.turns import Turns


class Line:
    """An idle loop is left alone: turns are told by a callback of each, from a request's step on until there was none for two turns."""

    __slots__ = ("_loop", "_monotonic", "_turns")

    def __init__(self, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._turns = Turns()
        self._loop: asyncio.AbstractEventLoop | None = None

    def began(self) -> float:
        """A request begins; return for how long it has waited, in seconds."""
        self._tell()
        return self._turns.began(self._monotonic())

    def worked(self) -> float:
        """A step of a request begins; return the time."""
        now = self._monotonic()
        self._tell()
        self._turns.worked(now)
        return now

    def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # an app may be served again, by another loop; a closed one tells nothing
            self._loop, self._turns = loop, Turns()
        if not self._turns.told:
            loop.call_soon(self._turned)

    def _turned(self) -> None:
        if self._turns.turned(self._monotonic()):
            asyncio.get_running_loop().call_soon(self._turned)
