"""An answer names its request, so that a person can quote it and the operator can find it in the log."""

from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.answer import Answer
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class RequestIdEcho:
    """Adds X-Request-Id."""

    order: ClassVar[int] = 20

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All of the API."""
        del opened
        return route.endpoint != "pages"

    def apply(self, passage: Passage, answer: Answer) -> None:
        """Add the trace id."""
        answer.lines.append(b"x-request-id: " + passage.trace_id.encode() + b"\r\n")
