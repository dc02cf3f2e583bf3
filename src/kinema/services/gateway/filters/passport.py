"""The request passport: what happened to a request when, as Zuul keeps it.

An operator who sends `x-kinema-passport: 1` gets it back in the answer's field of that name: each filter, the pick of an instance, the
connection, the first byte, each further attempt, with milliseconds since the request began. Without being asked for it, the
gateway notes only what is unusual (a filter that waited, a further attempt), and logs it when the request was slow.
"""

from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.answer import Answer
from kinema.services.gateway.passage import Apply, Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class PassportBegin:
    """Has everything noted for who asks for it."""

    order: ClassVar[int] = 5
    by_head: ClassVar[bool] = True

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Where it is known who asks."""
        return route.endpoint != "pages" and not opened

    def apply(self, passage: Passage) -> Awaitable[None] | None:
        """Note each filter from here on."""
        if passage.reading.passport:
            passage.events = []
            return self._begin(passage)
        return None

    async def _begin(self, passage: Passage) -> None:
        # Being awaited makes the gateway go on with the new steps.
        passage.steps = _noted(passage, passage.steps)


def _noted(passage: Passage, steps: Iterator[Apply]) -> Iterator[Apply]:
    for apply in steps:
        yield apply
        passage.note(passage.lane.installed[apply].name)


class PassportEnd:
    """Returns what was noted, to operators only: it tells of our insides."""

    order: ClassVar[int] = 1000

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """As for the beginning."""
        return route.endpoint != "pages" and not opened

    def apply(self, passage: Passage, answer: Answer) -> None:
        """Add the field."""
        if passage.reading.passport and passage.session is not None and passage.session.who.role == "operator":
            answer.add(b"x-kinema-passport", passage.timeline().encode())
