"""What processes report to `telemetry`, and what it shows: service map, series, instances, resilience, traces, objectives.

Times are Unix seconds, durations seconds, ratios from 0 to 1. Reports are internal; what is shown is for operators.
"""

from typing import Annotated, Literal

import msgspec

from kinema.core.spans import SpanKind, Value

# -- what a process reports ----------------------------------------------------------------------------------------------


class RedDelta(msgspec.Struct, frozen=True):
    """What a route counted since the last report. `counts` are (bucket, observations) of `core.histogram`, empty ones left out.

    `statuses` follow `core.metrics.CLASSES`.
    """

    kind: str
    service: str
    route: str
    peer: str
    counts: tuple[tuple[int, int], ...]
    statuses: tuple[int, ...]
    total_seconds: float


class Span(msgspec.Struct, frozen=True):
    """One piece of work. `parent_id` is empty for the first of a trace; `status` is of HTTP, or 0 where there is none."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: SpanKind
    service: str
    instance: str
    started_at: float
    seconds: float
    status: int
    error: bool
    attributes: dict[str, Value] = {}


class LogLine(msgspec.Struct, frozen=True):
    """A line that was logged for a trace."""

    trace_id: str
    at: float
    level: str
    service: str
    instance: str
    event: str
    facts: dict[str, str] = {}


class PoolUsage(msgspec.Struct, frozen=True):
    """How much of something bounded is taken. `limit` None: nothing bounds it."""

    name: str
    in_use: float
    limit: float | None = None
    waiting: float = 0.0
    errors: float = 0.0


class ProcessUsage(msgspec.Struct, frozen=True):
    """A process now. `cpu` is the share of one processor since the last report, `loop_lag_seconds` the longest
    and `gc_pause_seconds` all pauses since then.
    """

    started_at: float
    cpu: float
    memory_bytes: int
    descriptors: int
    most_descriptors: int
    threads: int
    loop_lag_seconds: float
    gc_pause_seconds: float
    pools: tuple[PoolUsage, ...] = ()


class Breaker(msgspec.Struct, frozen=True):
    """A circuit breaker as its process sees it: who is called, in which state it is, and what it judged by."""

    service: str
    instance: str
    state: Literal["closed", "open", "half-open", "forced-open", "forced-closed"]
    failure_ratio: float = 0.0
    slow_ratio: float = 0.0
    calls: int = 0


class Limit(msgspec.Struct, frozen=True):
    """A limit on concurrency: the present limit, and how much of it is taken."""

    service: str
    instance: str
    limit: float
    in_flight: int


class Ejection(msgspec.Struct, frozen=True):
    """An instance that gets no requests for a while, and why."""

    service: str
    instance: str
    reason: str
    until: float


class Shed(msgspec.Struct, frozen=True):
    """Requests of one class since the process started: taken, and turned away. `at` is who decides (gateway, a service)."""

    at: str
    priority: str
    admitted: int
    shed: int


class ResilienceState(msgspec.Struct, frozen=True):
    """What a process's resilience parts say of themselves."""

    breakers: tuple[Breaker, ...] = ()
    limits: tuple[Limit, ...] = ()
    ejections: tuple[Ejection, ...] = ()
    shed: tuple[Shed, ...] = ()


class Batch(msgspec.Struct, frozen=True):
    """One report. `process` and `boot` name a run of a process; of those reports `sequence` counts, so that none counts twice."""

    process: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    boot: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    sequence: Annotated[int, msgspec.Meta(ge=0)]
    at: float
    seconds: float
    services: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] = ()
    reds: Annotated[tuple[RedDelta, ...], msgspec.Meta(max_length=2100)] = ()
    spans: Annotated[tuple[Span, ...], msgspec.Meta(max_length=2000)] = ()
    logs: Annotated[tuple[LogLine, ...], msgspec.Meta(max_length=500)] = ()
    usage: ProcessUsage | None = None
    resilience: ResilienceState = ResilienceState()


class Wanted(msgspec.Struct, frozen=True):
    """The answer to a report: traces that failed or were slow somewhere, of which all spans are wanted, sampled or not."""

    traces: tuple[str, ...] = ()


# -- what is shown -------------------------------------------------------------------------------------------------------


class ServiceNode(msgspec.Struct, frozen=True):
    """A service on the map. Rates are per second over the window; durations None without requests."""

    name: str
    kind: Literal["clients", "gateway", "service", "edge", "worker", "store"]
    instances: int
    rps: float
    error_ratio: float
    p50_seconds: float | None
    p99_seconds: float | None


class ServiceEdge(msgspec.Struct, frozen=True):
    """Calls from one service to another that were really made within the window."""

    source: str
    target: str
    rps: float
    error_ratio: float
    p50_seconds: float | None
    p99_seconds: float | None


class ServiceMap(msgspec.Struct, frozen=True):
    """Who calls whom."""

    at: float
    window_seconds: int
    nodes: tuple[ServiceNode, ...]
    edges: tuple[ServiceEdge, ...]


class RouteSeries(msgspec.Struct, frozen=True):
    """One route over time, a value for each step; durations None where nothing was asked. The last four are of the whole window."""

    kind: str
    route: str
    peer: str
    rps: tuple[float, ...]
    errors: tuple[float, ...]
    p50_seconds: tuple[float | None, ...]
    p99_seconds: tuple[float | None, ...]
    requests: int
    failed: int
    p50: float | None
    p99: float | None


class ServiceSeries(msgspec.Struct, frozen=True):
    """RED of a service by route, the busiest first. Step `i` begins at `starts_at + i * step_seconds`."""

    service: str
    starts_at: float
    step_seconds: int
    steps: int
    routes: tuple[RouteSeries, ...]


class ProcessState(msgspec.Struct, frozen=True):
    """A process that has reported lately."""

    process: str
    services: tuple[str, ...]
    reported_at: float
    usage: ProcessUsage


class Processes(msgspec.Struct, frozen=True):
    """USE of every process."""

    at: float
    processes: tuple[ProcessState, ...]


class ProcessResilience(msgspec.Struct, frozen=True):
    """The resilience parts of one process."""

    process: str
    reported_at: float
    state: ResilienceState


class Resilience(msgspec.Struct, frozen=True):
    """Breakers, limits, ejections and shed requests of every process that has any."""

    at: float
    processes: tuple[ProcessResilience, ...]


class TraceSummary(msgspec.Struct, frozen=True):
    """One line of a list of traces. `service`, `name` and `status` are of its first span."""

    trace_id: str
    started_at: float
    seconds: float
    service: str
    name: str
    status: int
    error: bool
    spans: int
    services: tuple[str, ...]


class TraceList(msgspec.Struct, frozen=True):
    """Traces, newest or slowest first."""

    traces: tuple[TraceSummary, ...]


class Trace(msgspec.Struct, frozen=True):
    """A waterfall: the spans of a trace in the order of their start, and what was logged for it."""

    trace_id: str
    started_at: float
    seconds: float
    spans: tuple[Span, ...]
    logs: tuple[LogLine, ...]


class BurnRate(msgspec.Struct, frozen=True):
    """How fast the error budget was used within a window: 1 uses it up exactly at the end of the objective's window."""

    window_seconds: int
    rate: float
    requests: int


class BurnAlert(msgspec.Struct, frozen=True):
    """An alert of the objective: it fires while both windows burn faster than `factor`."""

    severity: Literal["page", "ticket"]
    factor: float
    long_seconds: int
    short_seconds: int
    firing: bool


class ObjectiveState(msgspec.Struct, frozen=True):
    """How an objective is kept. `objective` is the share of good requests that is promised, `sli` the share that there was.

    `under_seconds` None: good means no error; else it means answered within that time. `budget_left` is 1 when untouched,
    0 when used up, negative beyond that.
    """

    name: str
    description: str
    service: str
    route: str
    objective: float
    under_seconds: float | None
    window_days: int
    good: int
    total: int
    sli: float | None
    budget_left: float
    burn: tuple[BurnRate, ...]
    alerts: tuple[BurnAlert, ...]


class Objectives(msgspec.Struct, frozen=True):
    """All objectives."""

    at: float
    objectives: tuple[ObjectiveState, ...]
