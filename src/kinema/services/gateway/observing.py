"""What the gateway records of requests: RED by route, RED by attempt at a service, and the spans of both.

    client's span (if it named one) -> server: the request -> client: each attempt -> server: the service's own span

Everything that is the same for all requests of a route is prepared in its `RouteRecords`; a request costs two additions to
accumulators and two appends to the ring of spans, together about a microsecond.
"""

from typing import TYPE_CHECKING

from kinema.core import spans as tracing
from kinema.core.metrics import Counter, Metrics
from kinema.core.spans import SpanContext, Spans
from kinema.model.discovery import Instance
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.passage import Passage

SERVICE = "gateway"
CLIENT_CLOSED = 499  # as nginx logs it
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_MOST_INSTANCES = 1000


class RouteRecords:
    """Where requests on a route are counted, and how they are called in traces. Routes of one prefix share their counters."""

    __slots__ = ("answers", "attempts", "names", "other", "retries", "silent", "traced")

    def __init__(self, route: Route, metrics: Metrics) -> None:
        prefix = "pages" if route.endpoint == "pages" else route.prefix
        self.answers = metrics.red("gateway", prefix, service=SERVICE)
        peer = route.service  # where there is none, nothing is called, and the next two stay as they are
        self.attempts = metrics.red("client", prefix, peer, service=SERVICE) if peer else self.answers
        self.retries = metrics.counter("kinema_retries_total", service=SERVICE, peer=peer) if peer else Counter()
        self.names = {method: f"{method} {prefix}" for method in _METHODS}
        self.other = f"OTHER {prefix}"
        self.silent = (
            route.endpoint == "health"
        )  # asked many times a minute, by nobody who waits; 503 while a region starts
        self.traced = route.endpoint != "pages"


class Observing:
    """Records for one gateway, whose name is `instance`."""

    def __init__(self, metrics: Metrics, spans: Spans, instance: str) -> None:
        self.metrics = metrics
        self.now = spans.now
        self._append = spans.append
        self._instance = instance
        self._facts: dict[str, dict[str, tracing.Value]] = {}

    def route(self, route: Route) -> RouteRecords:
        """Return where requests on a route are recorded."""
        return RouteRecords(route, self.metrics)

    def answered(self, passage: "Passage", status: int, seconds: float) -> None:
        """Record a request whose answer begins now, or whose client left before it (499)."""
        records = passage.lane.records
        if records.silent:
            return
        if status == CLIENT_CLOSED:
            status = 0
        if not passage.span_id or not records.traced:
            records.answers.record(seconds, status)
            return
        trace_id = passage.trace_id
        records.answers.record(seconds, status, trace_id)
        name = records.names.get(passage.exchange.method, records.other)
        self._append(
            (
                trace_id,
                passage.span_id,
                passage.parent_id,
                name,
                "server",
                SERVICE,
                self._instance,
                passage.begun,
                seconds,
                status,
                None,
            )
        )

    def attempted(self, passage: "Passage", instance: Instance, began: float, seconds: float, status: int) -> None:
        """Record an attempt at a service that took so long; `status` 0 when it was given up."""
        records = passage.lane.records
        if not passage.span_id:
            records.attempts.record(seconds, status)
            return
        trace_id = passage.trace_id
        records.attempts.record(seconds, status, trace_id)
        facts = self._facts.get(instance.address)
        if facts is None:
            if len(self._facts) >= _MOST_INSTANCES:
                self._facts.clear()
            facts = self._facts[instance.address] = {
                "peer.service": instance.service,
                "server.address": instance.address,
            }
        name = records.names.get(passage.exchange.method, records.other)
        self._append(
            (
                trace_id,
                passage.call_id,
                passage.span_id,
                name,
                "client",
                SERVICE,
                self._instance,
                began,
                seconds,
                status,
                facts,
            )
        )

    def context(self, passage: "Passage") -> SpanContext:
        """Return the context for calls that the gateway makes of its own accord for this request."""
        sampled = bool(passage.span_id)
        return SpanContext(passage.trace_id, passage.span_id, SERVICE, self._instance, sampled=sampled)


def next_call(passage: "Passage", lines: bytes) -> bytes:
    """Give the next attempt a span of its own; `lines` are the encoded fields of the one before."""
    old, passage.call_id = passage.call_id, tracing.new_span_id()
    if not old:
        return lines
    start = f"traceparent: 00-{passage.trace_id}-"
    return lines.replace(f"{start}{old}".encode(), f"{start}{passage.call_id}".encode(), 1)
