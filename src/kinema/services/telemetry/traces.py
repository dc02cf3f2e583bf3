"""A trace as one line: what its first span was, how long that took, who took part, and how long it is kept.

Spans come from several processes in any order, so the line is made anew with each report: its head is the span that began
first. A trace in which anything failed, or a request took long, is kept for a day, any other for an hour. Pure.
"""

from collections.abc import Sequence

import msgspec

from kinema.model.telemetry import Span, TraceSummary

KEPT_SECONDS = 3600.0
NOTICED_SECONDS = 24 * 3600.0
SLOW_SECONDS = 1.0
"""A request that takes longer makes its trace slow."""

_MOST_SERVICES = 20


class TraceRow(msgspec.Struct, frozen=True):
    """A row of `tables.traces`."""

    trace_id: str
    started_at: float
    seconds: float
    service: str
    name: str
    status: int
    error: bool
    slow: bool
    spans: int
    services: str
    keep_until: float
    noticed_at: float


def merged(row: TraceRow | None, spans: Sequence[Span], now: float) -> TraceRow:
    """Return the line of a trace (None: none yet) with these spans of it (at least one) taken in."""
    first = min(spans, key=lambda span: span.started_at)
    head = (first.started_at, first.seconds, first.service, first.name, first.status)
    if row is not None and row.started_at <= first.started_at:
        head = (row.started_at, row.seconds, row.service, row.name, row.status)
    error = any(span.error for span in spans) or (row is not None and row.error)
    slow = any(is_slow(span) for span in spans) or (row is not None and row.slow)
    noticed_at = row.noticed_at if row is not None else 0.0
    if (error or slow) and not noticed_at:
        noticed_at = now
    services = {span.service for span in spans} | (set(row.services.split(",")) if row else set())
    return TraceRow(
        first.trace_id,
        *head,
        error=error,
        slow=slow,
        spans=len(spans) + (row.spans if row else 0),
        services=",".join(sorted(services)[:_MOST_SERVICES]),
        keep_until=noticed_at + NOTICED_SECONDS if noticed_at else now + KEPT_SECONDS,
        noticed_at=noticed_at,
    )


def is_slow(span: Span) -> bool:
    """Whether somebody waited long for this."""
    return span.kind == "server" and span.seconds > SLOW_SECONDS


def summary(row: TraceRow) -> TraceSummary:
    """Return a line as it is shown."""
    return TraceSummary(
        trace_id=row.trace_id,
        started_at=row.started_at,
        seconds=row.seconds,
        service=row.service,
        name=row.name,
        status=row.status,
        error=row.error,
        spans=row.spans,
        services=tuple(row.services.split(",")),
    )
