"""What a worker records: each run of a job as a span of the trace of its upload, and each step of it below that, timed.

A step that is found in the ledger is not done again and leaves nothing here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kinema.core import spans as tracing
from kinema.core.errors import KinemaError
from kinema.core.metrics import Metrics
from kinema.core.spans import SpanContext, Spans, TraceParent

SERVICE = "worker"
_DONE, _FAILED, _GIVEN_UP = 200, 500, 0  # in the terms of HTTP, as every span and count


class StepRecords:
    """Records for one worker."""

    def __init__(self, metrics: Metrics, spans: Spans, instance: str) -> None:
        self._metrics = metrics
        self._spans = spans
        self._instance = instance

    def job(self, trace: str | None) -> "JobRecord":
        """Begin a run of a job; `trace` is the traceparent of the request that queued it. What follows in this task belongs to it."""
        return JobRecord(self._spans, self._instance, tracing.parse(trace.encode()) if trace else None)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; inside, it is the span at hand."""
        context = self._spans.context()
        span_id = tracing.new_span_id()
        token = tracing.current.set(context.child(span_id))
        began, status = self._spans.now(), _GIVEN_UP
        try:
            yield
            status = _DONE
        except KinemaError as error:
            status = max(error.status, _FAILED)  # whoever's fault it is, the step has failed
            raise
        except Exception:
            status = _FAILED
            raise
        finally:
            tracing.current.reset(token)
            trace_id = context.trace_id if context.sampled else ""
            self._metrics.red("step", name, service=SERVICE).record(self._spans.now() - began, status, trace_id)
            self._spans.record(context, span_id, name, "internal", began, status)


class JobRecord:
    """One run of a job."""

    def __init__(self, spans: Spans, instance: str, parent: TraceParent | None) -> None:
        self._spans = spans
        self._began = spans.now()
        self._span_id = tracing.new_span_id()
        self.trace_id = parent.trace_id if parent else tracing.new_trace_id()
        sampled = parent is None or parent.sampled
        above = parent.span_id if parent else ""
        self._above = SpanContext(self.trace_id, above, SERVICE, instance, sampled=sampled)
        tracing.current.set(self._above.child(self._span_id))

    def ended(self, job_id: str, *, failed: bool) -> None:
        """The run is over."""
        status = _FAILED if failed else _DONE
        self._spans.record(self._above, self._span_id, "job", "consumer", self._began, status, {"job": job_id})
