"""Each request has a trace id: the one of a valid `traceparent` that it came with, else a new one.

The request is a span of that trace and each attempt at a service another one below it. A client's "not sampled" is passed
on, and nothing is recorded then; its `tracestate` is passed on as it is (W3C Trace Context).
"""

import random
from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class RequestId:
    """Names the request and sends the name along."""

    order: ClassVar[int] = 11

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything."""
        del route, opened
        return True

    def apply(self, passage: Passage) -> None:
        """Take or make the id."""
        caller = passage.reading.trace
        # One draw for trace, span and first call; random, not secret.
        digits = random.getrandbits(256).to_bytes(32, "big").hex()
        passage.call_id = digits[48:]
        if caller is None:
            passage.trace_id = trace_id = digits[:32]
            passage.span_id = digits[32:48]
            passage.outgoing.append(f"traceparent: 00-{trace_id}-{digits[48:]}-01\r\n".encode())
            return
        passage.trace_id = caller.trace_id
        passage.parent_id = caller.span_id
        if caller.sampled:
            passage.span_id = digits[32:48]
        flags = "01" if caller.sampled else "00"
        passage.outgoing.append(f"traceparent: 00-{caller.trace_id}-{digits[48:]}-{flags}\r\n".encode())
        if caller.state:
            passage.outgoing.append(b"tracestate: " + caller.state + b"\r\n")
