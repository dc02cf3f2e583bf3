"""The ledger of steps: what was made from what, so that nothing is made twice.

A step's key is the hash of everything that decides its result: its name, the digests of its inputs, its parameters and
the versions of the tools. Its files lie among the blobs under their own digests. A finished step is one row, written
after its files are stored; a worker that was killed finds the rows of its predecessor and goes on behind them.
"""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from kinema.core.clock import Clock
from kinema.core.errors import NotFound
from kinema.services.encoding.tables import steps
from kinema.storage.ports import Blobs, Sql

T = TypeVar("T")


class Step(msgspec.Struct, frozen=True):
    """What decides a step's result. `source` is the digest of the film it belongs to, `parameters` anything that JSON can hold."""

    name: str
    source: str
    parameters: object
    tools: tuple[str, ...]

    def key(self) -> str:
        """Return the hash under which the result is found again."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class Ledger:
    """Finished steps, in Sql and Blobs. What is really done happens inside `timed(name)`."""

    def __init__(
        self,
        sql: Sql,
        blobs: Blobs,
        clock: Clock,
        timed: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._sql = sql
        self._blobs = blobs
        self._clock = clock
        self._timed = timed

    async def once(
        self,
        step: Step,
        result_type: type[T],
        produce: Callable[[], Awaitable[T]],
        needs: Callable[[T], tuple[str, ...]] = lambda _: (),
    ) -> T:
        """Return the step's result, produced now unless it was before and all the blobs it needs are still there."""
        found = await self._find(step, result_type, needs)
        if found is not None:
            return found
        with self._timed(step.name):
            result = await produce()
        row = {
            "step_key": step.key(),
            "name": step.name,
            "result": msgspec.json.encode(result),
            "blobs": msgspec.json.encode(needs(result)).decode(),
            "source": step.source,
            "created_at": self._clock.now(),
        }
        async with self._sql.transaction() as connection:
            await connection.execute(sa.delete(steps).where(steps.c.step_key == row["step_key"]))
            await connection.execute(sa.insert(steps).values(row))
        return result

    async def _find(self, step: Step, result_type: type[T], needs: Callable[[T], tuple[str, ...]]) -> T | None:
        async with self._sql.read() as connection:
            body = await connection.scalar(sa.select(steps.c.result).where(steps.c.step_key == step.key()))
        if body is None:
            return None
        try:
            result = msgspec.json.decode(body, type=result_type)
            for key in needs(result):
                await self._blobs.size(key)
        except (msgspec.DecodeError, NotFound):
            return None
        return result

    async def forget(self, source: str, prefix: str) -> list[str]:
        """Drop the steps of a film that need blobs beneath `prefix`, and return the keys that nothing else needs now."""
        mine = sa.select(steps.c.step_key, steps.c.blobs).where(steps.c.source == source)
        async with self._sql.transaction() as connection:
            keys: list[str] = []
            for row in (await connection.execute(mine)).all():
                needed = msgspec.json.decode(row.blobs, type=list[str])
                if any(key.startswith(prefix) for key in needed):
                    keys += needed
                    await connection.execute(sa.delete(steps).where(steps.c.step_key == row.step_key))
            rest = (await connection.scalars(sa.select(steps.c.blobs))).all()
        kept = {key for blobs in rest for key in msgspec.json.decode(blobs, type=list[str])}
        return [key for key in keys if key not in kept]
