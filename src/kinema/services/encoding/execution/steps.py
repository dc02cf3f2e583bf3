"""Steps: work of one film, each piece done once. What is in the ledger is not done again; the rest goes to an executor.

A step's key is the hash of the work's kind, its parameters and the tools' versions, so whoever asks for the same finds it,
in this run or after a crash, on this machine or another that shares the ledger. Two who ask at the same moment share one run.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from kinema.services.encoding.execution.work import Cost, Executor, P, R, WorkKind
from kinema.services.encoding.ledger import Ledger, Step

Event = Literal["found", "begun", "made", "failed"]


class StepEvent(msgspec.Struct, frozen=True):
    """Something happened to a step: its kind, what it was expected to cost, and how long it took (0 unless it has ended)."""

    kind: str
    event: Event
    cost: Cost
    seconds: float = 0.0


class _Running:
    """A step under way, and how many wait for it."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.waiting = 0


class Steps:
    """The steps of the film with this digest. `notice` is told what happens to each; `found` and `made` count by kind."""

    def __init__(
        self,
        film: str,
        ledger: Ledger,
        executor: Executor,
        tools: tuple[str, ...],
        notice: Callable[[StepEvent], None] = lambda _: None,
    ) -> None:
        self.found: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self._film = film
        self._ledger = ledger
        self._executor = executor
        self._tools = tools
        self._notice = notice
        self._running: dict[str, _Running] = {}

    def key(self, kind: WorkKind[P, R], parameters: P) -> str:
        """Return the key under which the ledger has this step."""
        return self._step(kind, parameters).key()

    async def do(self, kind: WorkKind[P, R], parameters: P, priority: int = 0) -> R:
        """Return the work's result, found or made now; of what waits, the highest priority goes first. Raises what the work raises.

        Cancelled, it returns once the work has ended, unless somebody else waits for the same.
        """
        step = self._step(kind, parameters)
        key = step.key()
        running = self._running.get(key)
        if running is None:
            running = _Running(asyncio.create_task(self._once(step, kind, parameters, priority)))
            self._running[key] = running
            running.task.add_done_callback(lambda _: self._running.pop(key, None))
        running.waiting += 1
        try:
            result: R = await asyncio.shield(running.task)
        except asyncio.CancelledError:
            if running.waiting == 1:
                self._running.pop(key, None)
                running.task.cancel()
                await asyncio.gather(running.task, return_exceptions=True)
            raise
        else:
            return result
        finally:
            running.waiting -= 1

    def _step(self, kind: WorkKind[P, R], parameters: P) -> Step:
        return Step(kind.name, self._film, (kind.revision, parameters), self._tools)

    async def _once(self, step: Step, kind: WorkKind[P, R], parameters: P, priority: int) -> R:
        cost = kind.cost(parameters)
        made = False

        async def make() -> R:
            nonlocal made
            made = True
            self._notice(StepEvent(kind.name, "begun", cost))
            return await self._executor.run(kind, parameters, priority)

        began = time.monotonic()
        try:
            result = await self._ledger.once(step, kind.result, make, kind.needs)
        except BaseException:
            self._notice(StepEvent(kind.name, "failed", cost, time.monotonic() - began))
            raise
        (self.made if made else self.found)[kind.name] += 1
        self._notice(StepEvent(kind.name, "made" if made else "found", cost, time.monotonic() - began))
        return result
