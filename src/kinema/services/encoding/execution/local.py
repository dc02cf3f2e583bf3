"""The local pool: work on this machine, as much at a time as its processors and memory hold.

The work itself is programs of their own (see `tools`), so the pool is a queue in front of them and needs no processes. A piece
of work begins when its threads and its memory are free, the highest priority first, then in order of arrival. One that does not
fit yet holds up those behind it, so large work is not overtaken for ever. One that is larger than the machine runs alone.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from kinema.services.encoding.execution.machine import Machine, this_machine
from kinema.services.encoding.execution.work import Context, Cost, P, R, WorkKind


class Room:
    """Who may begin: a queue by priority in front of a number of threads and bytes of memory."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._threads = 0
        self._memory = 0
        self._running = 0
        self._order = count()
        self._waiting: list[tuple[int, int, Cost, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def taken(self, cost: Cost, priority: int) -> AsyncIterator[None]:
        """Wait for the work's turn and hold its room."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-priority, next(self._order), cost, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(cost)
            else:
                self._admit()
            raise
        try:
            yield
        finally:
            self._give_back(cost)

    def _admit(self) -> None:
        while self._waiting:
            _, _, cost, turn = self._waiting[0]
            if not turn.done():
                if self._running and not self._fits(cost):
                    return
                self._threads += cost.threads
                self._memory += cost.memory_bytes
                self._running += 1
                turn.set_result(None)
            heapq.heappop(self._waiting)

    def _fits(self, cost: Cost) -> bool:
        return (
            self._threads + cost.threads <= self._machine.threads
            and self._memory + cost.memory_bytes <= self._machine.memory_bytes
        )

    def _give_back(self, cost: Cost) -> None:
        self._threads -= cost.threads
        self._memory -= cost.memory_bytes
        self._running -= 1
        self._admit()


class LocalPool:
    """Does work in this process's own context."""

    def __init__(self, context: Context, machine: Machine | None = None) -> None:
        self._context = context
        self._room = Room(machine or this_machine())

    async def run(self, kind: WorkKind[P, R], parameters: P, priority: int = 0) -> R:
        """Do the work when there is room for it. Raises what the work raises."""
        async with self._room.taken(kind.cost(parameters), priority):
            return await kind.run(self._context, parameters)

    async def close(self) -> None:
        """Nothing is held that outlives the calls."""


async def open_local(_address: str, context: Context, machine: Machine | None) -> LocalPool:
    """Return a pool of this machine."""
    return LocalPool(context, machine)
