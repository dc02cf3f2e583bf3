"""Each request has a trace id: the one of a valid `traceparent` that it came with, else a new one."""

from typing import TYPE_CHECKING, ClassVar

from kinema.rpc.trace import new_trace, traceparent
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class RequestId:
    """Names the request and sends the name along (W3C trace context)."""

    order: ClassVar[int] = 20

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything."""
        del route, opened
        return True

    def apply(self, passage: Passage) -> None:
        """Take or make the id."""
        trace_id = passage.reading.trace_id
        if trace_id is None:
            passage.trace_id, field = new_trace()
        else:
            passage.trace_id = trace_id
            field = traceparent(trace_id)
        passage.outgoing.append(b"traceparent: " + field + b"\r\n")
