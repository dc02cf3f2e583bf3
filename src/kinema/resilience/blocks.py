"""A policy around a block of code instead of a function: each block is one attempt."""

import math
from types import TracebackType

from kinema.core.errors import DeadlineExceeded
from kinema.resilience.attempt import Attempt
from kinema.resilience.course import Course
from kinema.resilience.cut import Cut
from kinema.resilience.deadline import current
from kinema.resilience.parts import Parts


class Block:
    """One attempt as a context manager; entering may wait, and raises what the guards raise."""

    __slots__ = ("_attempt", "_course", "_cut", "_outer", "_parts", "goes_on")

    def __init__(self, parts: Parts, course: Course) -> None:
        self._parts = parts
        self._course = course
        self._attempt = Attempt(parts.guards)
        self._cut: Cut | None = None
        self.goes_on = False

    async def __aenter__(self) -> None:
        course = self._course
        self._outer = current.set(course.deadline)
        try:
            while True:
                try:
                    await self._attempt.enter(course.deadline)
                except Exception as error:
                    if not course.failed(error, self._attempt):
                        raise
                    await self._parts.clock.sleep(course.wait)
                else:
                    break
        except BaseException:
            current.reset(self._outer)
            raise
        seconds = self._parts.seconds(course.deadline)
        if seconds < math.inf:
            self._cut = Cut(self._parts.clock, seconds)
            self._cut.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        current.reset(self._outer)
        try:
            if self._cut is not None:
                self._cut.__exit__(kind, error, trace)
        except DeadlineExceeded as late:
            if self._over(late):
                return True
            raise
        if error is None or isinstance(error, Exception):
            return self._over(error)
        self._attempt.leave(error, None, late=self._course.late)
        return False

    def _over(self, error: Exception | None) -> bool:
        """Give the verdict; return whether the error is swallowed because the block is to be run again."""
        if error is None:
            self._attempt.leave(None, None)
            return False
        self._attempt.leave(error, self._parts.judge_error(error))
        self.goes_on = self._course.failed(error, self._attempt)
        return self.goes_on


class Blocks:
    """Yields blocks until one has succeeded, or failed for good."""

    __slots__ = ("_course", "_last", "_parts")

    def __init__(self, parts: Parts, course: Course) -> None:
        self._parts = parts
        self._course = course
        self._last: Block | None = None

    def __aiter__(self) -> "Blocks":
        return self

    async def __anext__(self) -> Block:
        if self._last is not None:
            if not self._last.goes_on:
                raise StopAsyncIteration
            await self._parts.clock.sleep(self._course.wait)
        self._last = Block(self._parts, self._course)
        return self._last
