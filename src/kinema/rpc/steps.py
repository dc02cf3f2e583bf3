"""How long a piece of work holds the event loop: the time of its steps, without that between them.

A coroutine runs from one wait to the next; whatever drives it (a task) resumes it when it may go on (PEP 492). Standing between the two
one sees each step begin and end.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any


class Steps:
    """Awaits `work`; `seconds` is what its steps have taken so far. Tasks that the work starts are not seen.

    `begins` and `ends` are called around each step and return the time of one steady clock.
    """

    __slots__ = ("_begins", "_ends", "_work", "seconds")

    def __init__(self, begins: Callable[[], float], ends: Callable[[], float], work: Awaitable[None]) -> None:
        self._begins = begins
        self._ends = ends
        self._work = work
        self.seconds = 0.0

    def __await__(self) -> Generator[Any, Any, None]:
        """Drive the work; whatever is sent or thrown in reaches it, whatever it raises goes on."""
        steps = self._work.__await__()
        resume: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            began = self._begins()
            try:
                waits_for = resume(given)
            except StopIteration:
                return
            finally:
                self.seconds += self._ends() - began
            try:
                given = yield waits_for
                resume = steps.send
            except BaseException as error:  # noqa: BLE001 -- a cancellation is the work's to answer
                resume, given = steps.throw, error
