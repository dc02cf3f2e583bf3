"""What a process tells the telemetry service every two seconds: counters since the last time, spans, log lines, its usage.

Reports never stand in the way: they are made from what was recorded anyway, sent in the background, kept for half a minute
while nobody takes them (then the oldest are dropped, and counted), and carry no trace of their own. A report that was
sent and not acknowledged is sent again under the same number, so nothing counts twice.

Which spans are sent, when there are more than `MOST_SPANS` (tail sampling, decided after the fact):

    1. those of traces in which something failed here or a request was slow
    2. those of traces that any other process found so within the last half minute: the service's answer names them
       (L. Zhang et al., "The Benefit of Hindsight: Tracing Edge-Cases in Distributed Systems", NSDI 2023)
    3. the traces whose ids end in the smallest random digits (W3C Trace Context level 2): every process chooses the
       same ones, so that what is sent are whole traces

What was not sent stays in memory for half a minute, in case of 2.
"""

import asyncio
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from kinema.core import priority
from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.log import get_logger
from kinema.core.metrics import Metrics, Red, RedKey
from kinema.core.priority import Priority
from kinema.core.spans import SpanContext, Spans
from kinema.model.telemetry import Batch, ProcessUsage, RedDelta, ResilienceState, Span, Wanted
from kinema.observe.lines import TraceLines
from kinema.rpc.client import Rpc

PERIOD_SECONDS = 2.0
MOST_SPANS = 500
SLOW_SECONDS = 1.0
_KEPT_SECONDS = 30.0
_MOST_KEPT = 20_000
_MOST_PENDING = 15
_AT_ONCE = 500
_PATH = "/v1/internal/telemetry/reports"

_log = get_logger(__name__)

Export = Callable[[Sequence[Span]], None]


class Reporter:
    """Reports for one process; `usage` and `resilience` are asked at each report."""

    def __init__(
        self,
        process: str,
        services: tuple[str, ...],
        metrics: Metrics,
        spans: Spans,
        rpc: Rpc,
        clock: Clock,
        usage: Callable[[float], ProcessUsage],
        resilience: Callable[[], ResilienceState] = ResilienceState,
        lines: TraceLines | None = None,
        export: Export | None = None,
    ) -> None:
        self._process = process
        self._services = services
        self._rpc = rpc
        self._clock = clock
        self._spans = spans
        self._deltas = Deltas(metrics)
        self._choice = Choice()
        self._usage = usage
        self._resilience = resilience
        self._lines = lines
        self._export = export
        self._boot = secrets.token_hex(8)
        self._sequence = 0
        self._pending: deque[Batch] = deque()
        self._made_at = clock.monotonic()
        self._outcomes = {
            name: metrics.counter("kinema_reports_total", outcome=name) for name in ("sent", "failed", "dropped")
        }
        metrics.counted("kinema_spans_total", lambda: self._choice.recorded, outcome="recorded")
        metrics.counted("kinema_spans_total", lambda: self._choice.sent, outcome="sent")
        metrics.counted("kinema_spans_total", lambda: spans.overruns, outcome="overrun")
        self._task: asyncio.Task[None] | None = None
        self._complained = False

    async def start(self) -> None:
        """Begin to report."""
        self._task = asyncio.create_task(self._keep_reporting())

    async def close(self) -> None:
        """Report a last time, if that is quick."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self.report()

    async def report(self) -> None:
        """Make a report and send what is due.

        Reports are about other work and no part of it: their own calls are counted and not recorded, and they are the first
        to be left out when a service has too much to do, as they come again.
        """
        own = self._spans.context()
        traced = tracing.current.set(SpanContext(tracing.new_trace_id(), "", own.service, own.instance, sampled=False))
        classed = priority.current.set(Priority.BULK)
        try:
            await self._report()
        finally:
            priority.current.reset(classed)
            tracing.current.reset(traced)

    async def _report(self) -> None:
        self._pending.append(await self._batch())
        while len(self._pending) > _MOST_PENDING:
            self._pending.popleft()
            self._outcomes["dropped"].add()
        while self._pending and self._rpc.directory.instances("telemetry"):
            try:
                wanted = await self._rpc.call("telemetry", "POST", _PATH, self._pending[0], type=Wanted)
            except KinemaError as error:
                self._outcomes["failed"].add()
                if error.status in {400, 413}:  # it will not get better
                    self._pending.popleft()
                if not self._complained:
                    self._complained = True
                    _log.warning("a report was not taken; it is kept for a while", error=str(error))
                return
            self._complained = False
            self._pending.popleft()
            self._outcomes["sent"].add()
            self._choice.want(wanted.traces)

    async def _batch(self) -> Batch:
        records = self._spans.take()
        for start in range(0, len(records), _AT_ONCE):  # under full load there are thousands, and requests come first
            spans = [span_of(record) for record in records[start : start + _AT_ONCE]]
            self._choice.take_in(spans, self._clock.now())
            if self._export is not None:
                self._export(spans)
            await asyncio.sleep(0)
        now, steady = self._clock.now(), self._clock.monotonic()
        seconds, self._made_at = steady - self._made_at, steady
        self._sequence += 1
        return Batch(
            process=self._process,
            boot=self._boot,
            sequence=self._sequence,
            at=now,
            seconds=seconds,
            services=self._services,
            reds=self._deltas.take(),
            spans=tuple(self._choice.choose(now)),
            logs=tuple(self._lines.take()) if self._lines is not None else (),
            usage=self._usage(seconds),
            resilience=self._resilience(),
        )

    async def _keep_reporting(self) -> None:
        while True:
            try:
                await self.report()
            except Exception as error:  # noqa: BLE001 -- whatever goes wrong here, the process has other things to do
                _log.error("a report could not be made", exc_info=error)
            await self._clock.sleep(PERIOD_SECONDS)


class Deltas:
    """What was counted since the last time, by difference."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last: dict[RedKey, tuple[list[int], list[int], float]] = {}

    def take(self) -> tuple[RedDelta, ...]:
        """Return the routes on which anything has happened."""
        return tuple(delta for red in self._metrics.reds() if (delta := self._delta(red)) is not None)

    def _delta(self, red: Red) -> RedDelta | None:
        counts, statuses, seconds = self._last.get(red.key, ([0] * len(red.counts), [0] * len(red.statuses), 0.0))
        if red.statuses == statuses:
            return None
        self._last[red.key] = (red.counts.copy(), red.statuses.copy(), red.total_seconds)
        return RedDelta(
            kind=red.key.kind,
            service=red.key.service,
            route=red.key.route,
            peer=red.key.peer,
            counts=tuple(
                (index, after - before)
                for index, (before, after) in enumerate(zip(counts, red.counts, strict=True))
                if after != before
            ),
            statuses=tuple(after - before for before, after in zip(statuses, red.statuses, strict=True)),
            total_seconds=red.total_seconds - seconds,
        )


class Choice:
    """Chooses the spans to be sent; see the module. Pure but for what it remembers."""

    def __init__(self, most: int = MOST_SPANS) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[float, list[Span]]] = OrderedDict()  # by trace, in order of their arrival
        self._new: dict[str, None] = {}
        self._size = 0
        self._wanted: dict[str, None] = {}
        self.recorded = 0
        self.sent = 0

    def want(self, traces: Iterable[str]) -> None:
        """Have all spans of these traces sent, those to come too."""
        for trace_id in traces:
            self._wanted[trace_id] = None
        while len(self._wanted) > 1000:
            del self._wanted[next(iter(self._wanted))]

    def take_in(self, spans: Iterable[Span], now: float) -> None:
        """Take new spans in."""
        for span in spans:
            trace_id = span.trace_id
            self.recorded += 1
            self._size += 1
            self._new[trace_id] = None
            found = self._kept.get(trace_id)
            if found is None:
                found = self._kept[trace_id] = (now, [])
            found[1].append(span)
            if span.error or (span.seconds > SLOW_SECONDS and span.kind == "server"):
                self._wanted[trace_id] = None

    def choose(self, now: float) -> list[Span]:
        """Return the spans to be sent now, at most as many as may be sent at once: of what is new, and of what is wanted."""
        wanted = [trace_id for trace_id in self._wanted if trace_id in self._kept]
        others = [trace_id for trace_id in self._new if trace_id not in self._wanted and trace_id in self._kept]
        self._new.clear()
        ranked = [*wanted, *sorted(others, key=_random_digits)]
        chosen: list[Span] = []
        for trace_id in ranked:
            of_trace = self._kept[trace_id][1]
            if chosen and len(chosen) + len(of_trace) > self._most:
                break
            chosen += of_trace[: self._most]
            self._forget(trace_id)
        while self._kept:
            oldest = next(iter(self._kept))
            if self._size <= _MOST_KEPT and now - self._kept[oldest][0] < _KEPT_SECONDS:
                break
            self._forget(oldest)
        self.sent += len(chosen)
        return chosen

    def _forget(self, trace_id: str) -> None:
        self._size -= len(self._kept.pop(trace_id)[1])


def _random_digits(trace_id: str) -> str:
    return trace_id[-14:]


def span_of(record: tracing.Record) -> Span:
    """Return a recorded span as it is reported."""
    trace_id, span_id, parent_id, name, kind, service, instance, started_at, seconds, status, attributes = record
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=name[:240],
        kind=kind,
        service=service,
        instance=instance,
        started_at=started_at,
        seconds=seconds,
        status=status,
        error=status >= 500,
        attributes=dict(attributes) if attributes else {},
    )
