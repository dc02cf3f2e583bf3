"""Spans: what a process did for a trace, kept in a small ring until somebody collects them.

A span is one piece of work: a request that was served, a call that was made, a step of a job. It knows its trace, its parent,
its name, when it began and how long it took (the model of OpenTelemetry, which spans become when they are exported). The
context of the work at hand, by which a new span finds its parent, is in `current`; between processes it travels as
`traceparent` and `tracestate` (W3C Trace Context, https://www.w3.org/TR/trace-context/).

Recording is one append of a tuple. Nothing is recorded for a trace whose caller said "not sampled".
"""

import random
import re
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Literal

from kinema.core.clock import Clock

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"

SpanKind = Literal["server", "client", "internal", "consumer"]
Value = str | int | float | bool
Record = tuple[str, str, str, str, SpanKind, str, str, float, float, int, Mapping[str, Value] | None]
"""Trace, span and parent id, name, kind, service, instance, start (steady seconds), duration, status, attributes."""

_MOST = 8192
_LONGEST_STATE = 512
# Version 00 is exact; of later versions the part that we know is read, and "ff" is none.
_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16


class TraceParent:
    """What a caller said of its trace: ids, whether it is sampled, and the vendors' states that are passed on as they are."""

    __slots__ = ("sampled", "span_id", "state", "trace_id")

    def __init__(self, trace_id: str, span_id: str, *, sampled: bool = True, state: bytes = b"") -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.sampled = sampled
        self.state = state


class SpanContext(TraceParent):
    """The work at hand: its span (empty outside any), and the service and instance that do it."""

    __slots__ = ("instance", "service")

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        service: str,
        instance: str,
        *,
        sampled: bool = True,
        state: bytes = b"",
    ) -> None:
        super().__init__(trace_id, span_id, sampled=sampled, state=state)
        self.service = service
        self.instance = instance

    def child(self, span_id: str) -> "SpanContext":
        """Return the context of work inside this one."""
        return SpanContext(self.trace_id, span_id, self.service, self.instance, sampled=self.sampled, state=self.state)


current: ContextVar[SpanContext | None] = ContextVar("span", default=None)
"""The span that new ones are children of; set it in a task of its own, or reset it."""


def parse(traceparent: bytes | None, tracestate: bytes | None = None) -> TraceParent | None:
    """Return what valid headers say, else None; a broken `traceparent` makes `tracestate` meaningless too."""
    found = _FORM.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if trace_id == _NO_TRACE or span_id == _NO_SPAN or (rest is not None and version == b"00"):
        return None
    state = tracestate if tracestate and len(tracestate) <= _LONGEST_STATE and tracestate.isascii() else b""
    return TraceParent(trace_id.decode(), span_id.decode(), sampled=int(flags, 16) & 1 == 1, state=state)


def header(trace_id: str, span_id: str, *, sampled: bool = True) -> bytes:
    """Return the value of `traceparent` for a call that is this span."""
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}".encode()


def fields(context: TraceParent, span_id: str) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a call that is the span `span_id` of this trace."""
    made = [(TRACEPARENT, header(context.trace_id, span_id, sampled=context.sampled))]
    if context.state:
        made.append((TRACESTATE, context.state))
    return made


def new_trace_id() -> str:
    """Return 32 hexadecimal digits; random, not secret."""
    return f"{random.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """Return 16 hexadecimal digits; random, not secret."""
    return f"{random.getrandbits(64) or 1:016x}"


class Spans:
    """The ring of one process. `service` and `instance` stand for work that belongs to no service in particular."""

    def __init__(self, clock: Clock, service: str = "", instance: str = "", most: int = _MOST) -> None:
        self.clock = clock
        self.now = clock.monotonic
        self.overruns = 0
        """How often the ring was full when it was collected, so that some spans before that are lost."""
        self._ring: deque[Record] = deque(maxlen=most)
        self._idle = SpanContext("", "", service, instance)
        self.append = self._ring.append
        """Record a span as a tuple: for whoever has everything at hand and no time."""

    def context(self) -> SpanContext:
        """Return the context of the work at hand; outside any, one without ids."""
        return current.get() or self._idle

    def record(
        self,
        context: TraceParent,
        span_id: str,
        name: str,
        kind: SpanKind,
        began: float,
        status: int = 0,
        attributes: Mapping[str, Value] | None = None,
    ) -> None:
        """Record work that ends now, as a child of `context`; `began` in steady seconds, `status` as in HTTP or 0."""
        if not context.sampled or not context.trace_id:
            return
        service, instance = (
            (context.service, context.instance)
            if isinstance(context, SpanContext)
            else (self._idle.service, self._idle.instance)
        )
        taken = self.now() - began
        self.append(
            (
                context.trace_id,
                span_id,
                context.span_id,
                name,
                kind,
                service,
                instance,
                began,
                taken,
                status,
                attributes,
            )
        )

    def take(self) -> list[Record]:
        """Return what was recorded since the last time, and forget it. Starts are turned into Unix seconds."""
        records: list[Record] = []
        shift = self.clock.now() - self.clock.monotonic()
        self.overruns += len(self._ring) == self._ring.maxlen
        while self._ring:
            one = self._ring.popleft()
            records.append((*one[:7], one[7] + shift, *one[8:]))
        return records
