"""Spans as a real OTLP receiver reads them: an HTTP server that decodes the protocol's own messages."""

import gzip
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from kinema.core.metrics import Metrics
from kinema.model.telemetry import Span
from kinema.observe.otlp import OtlpExport

TRACE, PARENT, CHILD = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


@contextmanager
def collector():
    received = []
    release = Event()
    release.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            release.wait(20)
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            received.append((self.path, ExportTraceServiceRequest.FromString(body)))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received, release
    finally:
        release.set()
        server.shutdown()


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def span(**facts):
    base = {
        "trace_id": TRACE,
        "span_id": CHILD,
        "parent_id": PARENT,
        "name": "GET /v1/titles/{title_id}",
        "kind": "server",
        "service": "catalog",
        "instance": "catalog-1",
        "started_at": 1_700_000_000.25,
        "seconds": 0.125,
        "status": 200,
        "error": False,
    }
    return Span(**(base | facts))


def attributes(found):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in found}


def counted(metrics, outcome):
    return metrics.counter("kinema_spans_total", outcome=outcome).value


def test_a_span_arrives_as_opentelemetry_has_it():
    metrics = Metrics("catalog")
    with collector() as (address, received, _):
        export = OtlpExport(address, "home", "a", metrics)
        call = span(
            span_id=PARENT,
            parent_id="",
            name="POST /v1/plays",
            kind="client",
            service="gateway",
            instance="gateway-1",
            status=503,
            error=True,
            attributes={"peer.service": "playback", "server.address": "127.0.0.1:4711"},
        )
        export.offer([span(), call])
        until(lambda: received)
        export.close()
    path, request = received[0]
    assert path == "/v1/traces"
    resources = {attributes(one.resource.attributes)["service.name"]: one for one in request.resource_spans}
    assert (
        attributes(resources["catalog"].resource.attributes).items()
        >= {
            "service.namespace": "kinema",
            "service.instance.id": "catalog-1",
            "cloud.region": "home",
            "cloud.availability_zone": "a",
        }.items()
    )
    (served,) = resources["catalog"].scope_spans[0].spans
    (called,) = resources["gateway"].scope_spans[0].spans
    assert (served.trace_id.hex(), served.span_id.hex(), served.parent_span_id.hex()) == (TRACE, CHILD, PARENT)
    assert (served.kind, called.kind) == (served.SPAN_KIND_SERVER, called.SPAN_KIND_CLIENT)
    assert called.parent_span_id == b""
    assert served.start_time_unix_nano == 1_700_000_000_250_000_000
    assert served.end_time_unix_nano - served.start_time_unix_nano == 125_000_000
    assert attributes(served.attributes) == {
        "http.request.method": "GET",
        "http.route": "/v1/titles/{title_id}",
        "http.response.status_code": 200,
    }
    assert attributes(called.attributes) == {
        "http.request.method": "POST",
        "url.template": "/v1/plays",
        "http.response.status_code": 503,
        "peer.service": "playback",
        "server.address": "127.0.0.1",
        "server.port": 4711,
        "error.type": "503",
    }
    assert (served.status.code, called.status.code) == (
        served.status.STATUS_CODE_UNSET,
        called.status.STATUS_CODE_ERROR,
    )
    until(lambda: counted(metrics, "exported") == 2)


@pytest.mark.parametrize(
    ("kind", "status", "failed"),
    [("server", 404, False), ("client", 404, True), ("server", 500, True), ("client", 302, False)],
)
def test_whose_error_a_status_is_depends_on_the_side(kind, status, failed):
    with collector() as (address, received, _):
        export = OtlpExport(address + "/v1/traces", "home", "a", Metrics("catalog"))
        export.offer([span(kind=kind, status=status, error=status >= 500)])
        until(lambda: received)
        export.close()
    (found,) = received[0][1].resource_spans[0].scope_spans[0].spans
    assert (found.status.code == found.status.STATUS_CODE_ERROR) is failed


def test_a_collector_that_hangs_costs_spans_and_never_time():
    metrics = Metrics("catalog")
    with collector() as (address, _, release):
        release.clear()
        export = OtlpExport(address, "home", "a", metrics)
        for _ in range(100):
            export.offer([span()] * 10)  # would never return if it waited for the collector
        until(lambda: counted(metrics, "export_dropped") >= 650)
        release.set()
        until(lambda: counted(metrics, "exported") + counted(metrics, "export_dropped") == 1000)
        export.close()


def test_a_collector_that_is_away_ends_with_the_process():
    export = OtlpExport("http://127.0.0.1:1", "home", "a", Metrics("catalog"))
    export.offer([span()])
    began = time.monotonic()
    export.close()
    assert time.monotonic() - began < 15
