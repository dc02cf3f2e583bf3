"""Spans for an OpenTelemetry collector: OTLP over HTTP, from a thread of its own, when the setting `otlp_endpoint` names one.

A span of ours becomes one of OpenTelemetry with the attribute names of its semantic conventions (HTTP spans 1.23 and later).
The queue is bounded: a collector that is slow or away costs spans, which are counted, and never time of a request.
The exporter's own retries, timeouts and OTEL_EXPORTER_OTLP_... variables (headers, compression, certificates) are OpenTelemetry's.
"""

import logging
import queue
import threading
from collections.abc import Sequence
from functools import lru_cache

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import kinema
from kinema.core.log import get_logger
from kinema.core.metrics import Metrics
from kinema.model.telemetry import Span

_PATH = "/v1/traces"
_MOST_WAITING = 30  # lots of up to MOST_AT_ONCE spans
_MOST_AT_ONCE = 512
_CLOSE_SECONDS = 1.0
_KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
    "consumer": SpanKind.CONSUMER,
}
_SCOPE = InstrumentationScope("kinema", kinema.__version__)
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

_log = get_logger(__name__)


class OtlpExport:
    """Give `offer` to the reporter. `endpoint` is the collector's base URL ("http://collector:4318")."""

    def __init__(self, endpoint: str, region: str, zone: str, metrics: Metrics) -> None:
        base = endpoint.rstrip("/")
        self._endpoint = base if base.endswith(_PATH) else base + _PATH
        self._place = {"cloud.region": region, "cloud.availability_zone": zone}
        # Each counter is written by one thread: the first by whoever offers, the others by ours.
        self._dropped = metrics.counter("kinema_spans_total", outcome="export_dropped")
        self._exported = metrics.counter("kinema_spans_total", outcome="exported")
        self._failed = metrics.counter("kinema_spans_total", outcome="export_failed")
        self._queue: queue.Queue[Sequence[Span] | None] = queue.Queue(_MOST_WAITING)
        self._exporter = OTLPSpanExporter(endpoint=self._endpoint)
        self._complained = False
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what fails is said here, once
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def offer(self, spans: Sequence[Span]) -> None:
        """Have spans exported soon; at once forgotten when too many wait already. Never blocks."""
        for start in range(0, len(spans), _MOST_AT_ONCE):
            lot = spans[start : start + _MOST_AT_ONCE]
            try:
                self._queue.put_nowait(lot)
            except queue.Full:
                self._dropped.add(len(lot))

    def close(self) -> None:
        """Export what waits, for a second at most. Blocks for as long."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            pass  # then it would not be done within a second either
        else:
            self._thread.join(_CLOSE_SECONDS)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry leaves it untyped

    def _run(self) -> None:
        while (lot := self._queue.get()) is not None:
            exported = self._exporter.export([readable(span, self._place) for span in lot])
            if exported is SpanExportResult.SUCCESS:
                self._exported.add(len(lot))
                self._complained = False
                continue
            self._failed.add(len(lot))
            if not self._complained:
                self._complained = True
                _log.warning("the collector does not take spans; they are dropped", endpoint=self._endpoint)


def readable(span: Span, place: dict[str, str]) -> ReadableSpan:
    """Return a span as OpenTelemetry's exporters read it; `place` are attributes of the resource."""
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
        resource=_resource(span.service, span.instance, *place.items()),
        attributes=_attributes(span),
        kind=_KINDS[span.kind],
        status=_status(span),
        start_time=_nanoseconds(span.started_at),
        end_time=_nanoseconds(span.started_at + span.seconds),
        instrumentation_scope=_SCOPE,
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1000  # a float of today's time knows microseconds


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


@lru_cache(maxsize=256)
def _resource(service: str, instance: str, *place: tuple[str, str]) -> Resource:
    return Resource(
        {
            "service.namespace": "kinema",
            "service.name": service,
            "service.instance.id": instance,
            "service.version": kinema.__version__,
            **dict(place),
        }
    )


def _attributes(span: Span) -> dict[str, str | bool | int | float]:
    found = dict(span.attributes)
    method, _, route = span.name.partition(" ")
    if method in _METHODS or method == "OTHER":
        found["http.request.method"] = method if method in _METHODS else "_OTHER"
        found["http.route" if span.kind == "server" else "url.template"] = route
        if span.status:
            found["http.response.status_code"] = span.status
    address, colon, port = str(found.get("server.address", "")).rpartition(":")
    if colon and port.isdecimal():
        found |= {"server.address": address, "server.port": int(port)}
    if span.error:
        found["error.type"] = str(span.status or "error")
    return found


def _status(span: Span) -> Status:
    """Return the status: of a server's span an error for 5xx only, of a client's for 4xx as well (semantic conventions)."""
    failed = span.error or (span.kind == "client" and span.status >= 400)
    return Status(StatusCode.ERROR if failed else StatusCode.UNSET)
