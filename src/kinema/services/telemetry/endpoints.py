"""Telemetry's HTTP API: reports come from processes only, everything else is for operators."""

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from kinema.model.telemetry import (
    Batch,
    Objectives,
    Processes,
    Resilience,
    ServiceMap,
    ServiceSeries,
    Trace,
    TraceList,
    Wanted,
)
from kinema.rpc.service import needs
from kinema.services.telemetry.intake import Intake
from kinema.services.telemetry.service import Telemetry

_REPORT_BYTES = 4 << 20

Name = Annotated[str, PathParameter(description="A service of the map.", max_length=64)]
TraceId = Annotated[
    str,
    PathParameter(description="A request id, as in X-Request-Id.", schema_extra={"pattern": "^[0-9a-f]{32}$"}),
]
Minutes = Annotated[int, QueryParameter(ge=1, le=60, description="How far to look back.")]
MinutesOfTraces = Annotated[int, QueryParameter(ge=1, le=1440, description="How far to look back.")]
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="The most traces to return.")]
Text = Annotated[str, QueryParameter(max_length=240)]
Order = Annotated[Literal["recent", "slow"], QueryParameter(description="Which come first.")]
Errors = Annotated[bool, QueryParameter(description="Only traces in which something failed.")]
Seconds = Annotated[float, QueryParameter(ge=0, le=86400, description="Traces that took at least as long.")]


@post(
    "/v1/internal/telemetry/reports",
    operation_id="report",
    tags=["internal"],
    guards=[needs("service")],
    status_code=200,
    request_max_body_size=_REPORT_BYTES,
)
async def report(data: Batch, intake: Intake, telemetry: Telemetry) -> Wanted:
    """Take what a process counted and did; the answer names traces of which all spans are wanted."""
    await intake.take(data)
    return Wanted(telemetry.noticed)


@get("/v1/telemetry/map", operation_id="getServiceMap", tags=["telemetry"], guards=[needs("operator")])
async def get_map(telemetry: Telemetry) -> ServiceMap:
    """Who called whom within the last minute, how often, how well and how quickly."""
    return await telemetry.map()


@get(
    "/v1/telemetry/services/{name:str}", operation_id="getServiceSeries", tags=["telemetry"], guards=[needs("operator")]
)
async def get_series(name: Name, telemetry: Telemetry, minutes: Minutes = 15) -> ServiceSeries:
    """Requests, errors and durations of a service by route."""
    return await telemetry.series(name, minutes)


@get("/v1/telemetry/instances", operation_id="listProcesses", tags=["telemetry"], guards=[needs("operator")])
async def list_processes(telemetry: Telemetry) -> Processes:
    """What each process uses: processor, memory, descriptors, pools, and how late its event loop is."""
    return await telemetry.processes()


@get("/v1/telemetry/resilience", operation_id="getResilience", tags=["telemetry"], guards=[needs("operator")])
async def get_resilience(telemetry: Telemetry) -> Resilience:
    """Breakers, limits, ejected instances and shed requests of each process."""
    return await telemetry.resilience()


@get("/v1/telemetry/traces", operation_id="listTraces", tags=["telemetry"], guards=[needs("operator")])
async def list_traces(
    telemetry: Telemetry,
    order: Order = "recent",
    errors: Errors = False,
    service: Text = "",
    route: Text = "",
    least_seconds: Seconds = 0.0,
    minutes: MinutesOfTraces = 60,
    limit: Limit = 50,
) -> TraceList:
    """Traces, the newest or the slowest first; `service` and `route` choose those in which they took part."""
    return await telemetry.traces(
        order=order,
        errors=errors,
        service=service,
        route=route,
        least_seconds=least_seconds,
        minutes=minutes,
        limit=limit,
    )


@get("/v1/telemetry/traces/{trace_id:str}", operation_id="getTrace", tags=["telemetry"], guards=[needs("operator")])
async def get_trace(trace_id: TraceId, telemetry: Telemetry) -> Trace:
    """The waterfall of a request: every span that was kept, and what was logged for it."""
    return await telemetry.trace(trace_id)


@get("/v1/telemetry/slo", operation_id="listObjectives", tags=["telemetry"], guards=[needs("operator")])
async def list_objectives(telemetry: Telemetry) -> Objectives:
    """How the service level objectives are kept: budget left, burn rates, alerts."""
    return await telemetry.objectives()


ROUTES: tuple[ControllerRouterHandler, ...] = (
    report,
    get_map,
    get_series,
    list_processes,
    get_resilience,
    list_traces,
    get_trace,
    list_objectives,
)
