"""A service's app as it is seen from outside: each request is counted by its route and becomes a span of its caller's trace.

It stands around the whole app, so that what the framework refuses (no such route, a body too large) is counted too. Probes of
/healthz are left out: several a second, they would drown what people ask for. A request that names no trace (a heartbeat) gets
an id for the log and no span.
"""

import re

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from kinema.core import spans as tracing
from kinema.core.metrics import Metrics, Red
from kinema.core.spans import SpanContext, Spans

_CONVERTER = re.compile(r":\w+}")
_UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def observed(app: ASGIApp, service: str, instance: str, metrics: Metrics, spans: Spans) -> ASGIApp:
    """Return the app with its requests recorded under this service and instance."""
    reds: dict[tuple[str, str], Red] = {}

    def red_of(scope: HTTPScope) -> Red:
        key = (scope["method"], scope.get("path_template") or _UNMATCHED)
        found = reds.get(key)
        if found is None:
            method = key[0] if key[0] in _METHODS else "OTHER"
            route = f"{method} {_CONVERTER.sub('}', key[1])}"
            found = metrics.red("server", route, service=service)
            if len(reds) < 1000:
                reds[key] = found
        return found

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] == "/healthz":
            await app(scope, receive, send)
            return
        began = spans.now()
        caller = _caller(scope)
        span_id = tracing.new_span_id()
        trace_id = caller.trace_id if caller else tracing.new_trace_id()
        context = SpanContext(
            trace_id,
            span_id,
            service,
            instance,
            sampled=caller is not None and caller.sampled,
            state=caller.state if caller else b"",
        )
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = tracing.current.set(context)
        try:
            await app(scope, receive, noting)
        except Exception:
            status = status or 500
            raise
        finally:
            tracing.current.reset(token)
            if not (status == 405 and scope["method"] == "HEAD"):  # it is asked again as a GET
                red = red_of(scope)
                now = spans.now()
                red.record(now - began, status, trace_id if context.sampled else "")
                if context.sampled:
                    parent = caller.span_id if caller else ""
                    spans.append(
                        (
                            *(trace_id, span_id, parent, red.key.route, "server", service, instance),
                            *(began, now - began, status, None),
                        )
                    )

    return handle


def _caller(scope: Scope) -> tracing.TraceParent | None:
    traceparent = None
    states: list[bytes] = []
    for name, value in scope["headers"]:
        if name == tracing.TRACEPARENT:
            if traceparent is not None:
                return None  # two of them: nobody can say which (W3C Trace Context, 4.3)
            traceparent = value
        elif name == tracing.TRACESTATE:
            states.append(value)
    return tracing.parse(traceparent, b",".join(states))
