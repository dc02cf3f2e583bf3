"""What operators see of the windows: the service map and a service's series. Pure."""

from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from kinema.core.histogram import quantile
from kinema.core.metrics import RedKey
from kinema.model.telemetry import RouteSeries, ServiceEdge, ServiceMap, ServiceNode, ServiceSeries
from kinema.services.telemetry.windows import KEPT_SECONDS, SLOT_SECONDS, Tally, Windows

MAP_SECONDS = 60
STEPS = 60
_MOST_ROUTES = 100
_STORES = frozenset({"sql", "blobs", "cache"})
_SERVED = frozenset({"gateway", "server", "edge", "step"})  # kinds that are a service's own work
_CALLED = frozenset({"client", "storage", "edge"})  # kinds whose peer was called

NodeKind = Literal["clients", "gateway", "service", "edge", "worker", "store"]
_KINDS: dict[str, NodeKind] = {"gateway": "gateway", "edge": "edge", "worker": "worker", "clients": "clients"}


def service_map(windows: Windows, now: float, instances: Callable[[str], int]) -> ServiceMap:
    """Return who called whom within the last minute; `instances` says how many live instances a service has."""
    start = _slot(now - MAP_SECONDS)
    seconds = max(now - start, 1.0)
    nodes: defaultdict[str, Tally] = defaultdict(Tally)
    edges: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
    for key, tally in windows.within(start, now + SLOT_SECONDS).items():
        if key.kind in _SERVED:
            nodes[key.service].merge(tally)
        if key.kind in {"gateway", "edge"}:
            edges["clients", key.service].merge(tally)
        if key.kind in _CALLED and key.peer:
            edges[key.service, key.peer].merge(tally)
    for source, target in list(edges):
        nodes[source]  # a caller that serves nobody (a worker) is on the map too
        nodes[target]
    for target in _STORES & set(nodes):
        for (_, called), tally in edges.items():
            if called == target:
                nodes[target].merge(tally)
    return ServiceMap(
        at=now,
        window_seconds=MAP_SECONDS,
        nodes=tuple(_node(name, tally, seconds, instances) for name, tally in sorted(nodes.items())),
        edges=tuple(
            ServiceEdge(source, target, *_figures(tally, seconds)) for (source, target), tally in sorted(edges.items())
        ),
    )


def service_series(windows: Windows, service: str, now: float, minutes: int) -> ServiceSeries:
    """Return the last `minutes` (1 to 60) of a service's routes in at most 60 steps."""
    step = max(SLOT_SECONDS, -(-minutes * 60 // STEPS // SLOT_SECONDS) * SLOT_SECONDS)
    steps = min(minutes * 60, KEPT_SECONDS) // step
    end = _slot(now) + SLOT_SECONDS
    start = end - steps * step
    columns = [windows.within(start + step * index, start + step * (index + 1), service) for index in range(steps)]
    keys = {key for column in columns for key in column}
    routes = [_route(key, columns, step) for key in keys]
    routes.sort(key=lambda route: (-route.requests, route.kind, route.route, route.peer))
    return ServiceSeries(service, start, step, steps, tuple(routes[:_MOST_ROUTES]))


def _route(key: RedKey, columns: list[dict[RedKey, Tally]], step: int) -> RouteSeries:
    whole = Tally()
    empty = Tally()
    series = [column.get(key, empty) for column in columns]
    for tally in series:
        whole.merge(tally)
    return RouteSeries(
        kind=key.kind,
        route=key.route,
        peer=key.peer,
        rps=tuple(tally.requests / step for tally in series),
        errors=tuple(tally.failed / step for tally in series),
        p50_seconds=tuple(quantile(tally.histogram, 0.5) for tally in series),
        p99_seconds=tuple(quantile(tally.histogram, 0.99) for tally in series),
        requests=whole.requests,
        failed=whole.failed,
        p50=quantile(whole.histogram, 0.5),
        p99=quantile(whole.histogram, 0.99),
    )


def _node(name: str, tally: Tally, seconds: float, instances: Callable[[str], int]) -> ServiceNode:
    kind = "store" if name in _STORES else _KINDS.get(name, "service")
    return ServiceNode(name, kind, instances(name), *_figures(tally, seconds))


def _figures(tally: Tally, seconds: float) -> tuple[float, float, float | None, float | None]:
    requests = tally.requests
    counts = tally.histogram
    share = tally.failed / requests if requests else 0.0
    return requests / seconds, share, quantile(counts, 0.5), quantile(counts, 0.99)


def _slot(at: float) -> float:
    return at // SLOT_SECONDS * SLOT_SECONDS
