"""What a process counts: requests by route and edge (RED) and whatever else `metric_families` names, in plain accumulators.

    red = metrics.red("server", "/v1/titles/{title_id}", service="catalog")        once, when the route is made
    red.record(seconds, status, trace_id)                                          each time: three additions, 0.4 us

Nothing here does I/O or locks: one thread records (the event loop's) and the same one reads. Who wants the numbers (the
`/metrics` page, the reports to the telemetry service) reads the accumulators when it is asked, so an unread metric costs
its additions only. Labels are bounded: beyond `MOST_ROUTES` combinations everything goes to the route `other`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

import msgspec

from kinema.core.histogram import BOUNDS, BUCKETS
from kinema.core.metric_families import BY_NAME

MOST_ROUTES = 2000
CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""The classes of status, by its hundreds; `none` is for what ended without an answer (the client left)."""

OTHER = "other"
Labels = tuple[str, ...]


class RedKey(msgspec.Struct, frozen=True):
    """What a `Red` counts: `kind` of work, who does it, on which route, and for or at whom (`peer`, a service or empty)."""

    kind: str
    service: str
    route: str
    peer: str = ""


class Red:
    """Requests, errors and durations of one key. All counters only grow."""

    __slots__ = ("counts", "exemplars", "key", "statuses", "total_seconds")

    def __init__(self, key: RedKey) -> None:
        self.key = key
        self.counts = [0] * BUCKETS
        self.statuses = [0] * len(CLASSES)
        self.total_seconds = 0.0
        self.exemplars: list[tuple[str, float] | None] = [None] * BUCKETS

    def record(
        self,
        seconds: float,
        status: int,
        trace_id: str = "",
        _find: Callable[[tuple[float, ...], float], int] = bisect_left,
        _bounds: tuple[float, ...] = BOUNDS,
    ) -> None:
        """Count one request. `status` is of HTTP (100 to 599), or 0 when there was no answer."""
        index = _find(_bounds, seconds)
        self.counts[index] += 1
        self.statuses[status // 100] += 1
        self.total_seconds += seconds
        if trace_id:
            self.exemplars[index] = (trace_id, seconds)

    def record_quick(self, count: int) -> None:
        """Count requests that were answered at once, in the first bucket, with 2xx: hits of a cache, counted elsewhere."""
        self.counts[0] += count
        self.statuses[2] += count


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, n: float = 1) -> None:
        """Count n more."""
        self.value += n


class Histogram:
    """Durations that belong to no request."""

    __slots__ = ("counts", "total_seconds")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total_seconds = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total_seconds += seconds


class Sample(msgspec.Struct, frozen=True):
    """A value as it is now: of a counter or gauge of this name, with its labels in the family's order."""

    name: str
    labels: Labels
    value: float


class UnknownMetric(ValueError):
    """A metric is not in the table, or its labels are not the ones that the table has."""


class Metrics:
    """The accumulators of one process. `service` stands for whoever records without saying for which service."""

    def __init__(self, service: str = "") -> None:
        self.service = service
        self._reds: dict[RedKey, Red] = {}
        self._counters: dict[tuple[str, Labels], Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._reads: dict[tuple[str, Labels], Callable[[], float]] = {}
        self._sources: list[Callable[[], Iterable[Sample]]] = []
        self._before: list[Callable[[], None]] = []

    # -- recording ---------------------------------------------------------------------------------------------------

    def red(self, kind: str, name: str, peer: str = "", *, service: str = "") -> Red:
        """Return the accumulator of a route (`name`); the same one for the same key. Keep it where the route is kept."""
        key = RedKey(kind, service or self.service, name, peer)
        found = self._reds.get(key)
        if found is None:
            if len(self._reds) >= MOST_ROUTES:
                key = RedKey(kind, key.service, OTHER)
                if key in self._reds:
                    return self._reds[key]
            found = self._reds[key] = Red(key)
        return found

    def counter(self, name: str, **labels: str) -> Counter:
        """Return a counter. Raises UnknownMetric unless `metric_families` has it with these labels."""
        key = (name, _ordered(name, "counter", labels))
        return self._counters.setdefault(key, Counter())

    def histogram(self, name: str) -> Histogram:
        """Return a histogram without labels. Raises UnknownMetric."""
        _ordered(name, "histogram", {})
        return self._histograms.setdefault(name, Histogram())

    def gauge(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Have `read` asked for a value whenever somebody looks; it replaces an earlier one. Raises UnknownMetric."""
        self._reads[name, _ordered(name, "gauge", labels)] = read

    def counted(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Have `read` asked for a counter that is kept elsewhere. Raises UnknownMetric."""
        self._reads[name, _ordered(name, "counter", labels)] = read

    def source(self, samples: Callable[[], Iterable[Sample]]) -> None:
        """Have `samples` asked for values whose labels come and go (instances, breakers); make them with `sample`."""
        self._sources.append(samples)

    def before_reading(self, update: Callable[[], None]) -> None:
        """Have `update` called before anybody reads, to move in what is counted elsewhere."""
        self._before.append(update)

    # -- reading -----------------------------------------------------------------------------------------------------

    def reds(self) -> list[Red]:
        """Return all accumulators of requests."""
        for update in self._before:
            update()
        return list(self._reds.values())

    def histograms(self) -> dict[str, Histogram]:
        """Return the histograms without labels, by name."""
        return dict(self._histograms)

    def samples(self) -> Iterator[Sample]:
        """Read every counter and gauge."""
        for (name, labels), counter in self._counters.items():
            yield Sample(name, labels, counter.value)
        for (name, labels), read in self._reads.items():
            yield Sample(name, labels, read())
        for source in self._sources:
            yield from source()


def sample(name: str, value: float, **labels: str) -> Sample:
    """Return a value for `Metrics.source`. Raises UnknownMetric."""
    return Sample(name, _ordered(name, BY_NAME[name].kind if name in BY_NAME else "", labels), value)


def _ordered(name: str, kind: str, labels: dict[str, str]) -> Labels:
    family = BY_NAME.get(name)
    if family is None or family.kind != kind:
        raise UnknownMetric(f"There is no {kind} {name!r}; add it to core/metric_families.py and docs/metrics.md.")
    if set(labels) != set(family.labels):
        raise UnknownMetric(f"{name} has the labels {family.labels}, not {tuple(labels)}.")
    return tuple(labels[label] for label in family.labels)
