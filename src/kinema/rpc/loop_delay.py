"""How long work waits for its turn in the event loop: a callback is put at the end of the line, and its wait is measured.

It is asked for when a request comes, so an idle process does nothing; at most one callback waits at a time, and at most one in
five milliseconds is sent.
"""

import asyncio
from collections.abc import Callable

from kinema.core.clock import Clock

_PAUSE_SECONDS = 0.005


class LoopDelay:
    """Tells `waited` each measure, in seconds."""

    __slots__ = ("_again_at", "_monotonic", "_sent_at", "_waited", "_waiting")

    def __init__(self, clock: Clock, waited: Callable[[float], None]) -> None:
        self._monotonic = clock.monotonic
        self._waited = waited
        self._waiting = False
        self._sent_at = 0.0
        self._again_at = float("-inf")

    def measure(self) -> None:
        """Measure once, unless that was done a moment ago."""
        if self._waiting:
            return
        now = self._monotonic()
        if now >= self._again_at:
            self._waiting = True
            self._sent_at = now
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        now = self._monotonic()
        self._waiting = False
        self._again_at = now + _PAUSE_SECONDS
        self._waited(now - self._sent_at)
