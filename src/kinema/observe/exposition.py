"""A process's metrics as OpenMetrics 1.0 (with exemplars) or as Prometheus' older text format, whichever the reader asks for.

prometheus-client knows the formats and their negotiation; the numbers are read from our own accumulators (`core.metrics`)
when somebody looks.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from kinema.core.histogram import BOUNDS, bound_text
from kinema.core.metric_families import FAMILIES, Family
from kinema.core.metrics import CLASSES, Metrics, Red

REQUESTS = "kinema_requests_total"
DURATIONS = "kinema_request_duration_seconds"

_ALWAYS = frozenset({"2xx", "5xx"})  # there from the start, so that the first error is an increase
_BOUND_TEXTS = (*(bound_text(bound) for bound in BOUNDS), "+Inf")


def page(metrics: Metrics, accept: str) -> tuple[str, bytes]:
    """Return content type and text of a process's metrics for an Accept header."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


class _Collector(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return [_empty(family) for family in FAMILIES]

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        made = {family.name: _empty(family) for family in FAMILIES}
        for red in metrics.reds():
            _add_red(made[REQUESTS], made[DURATIONS], red)
        for name, histogram in metrics.histograms().items():
            _add_histogram(made[name], (), histogram.counts, histogram.total_seconds, ())
        for sample in metrics.samples():
            if math.isfinite(sample.value):
                made[sample.name].add_metric(sample.labels, sample.value)  # type: ignore[attr-defined]  # Metric's common base lacks it
        return (family for family in made.values() if family.samples)


def _empty(family: Family) -> Metric:
    make: type[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }[family.kind]
    return make(family.name, family.help, labels=family.labels)


def _add_red(requests: Metric, durations: Metric, red: Red) -> None:
    key = red.key
    labels = (key.kind, key.service, key.route, key.peer)
    for status, count in zip(CLASSES, red.statuses, strict=True):
        if count or status in _ALWAYS:
            requests.add_metric((*labels, status), count)  # type: ignore[attr-defined]  # as above
    _add_histogram(durations, labels, red.counts, red.total_seconds, red.exemplars)


def _add_histogram(
    family: Metric,
    labels: Sequence[str],
    counts: Sequence[int],
    total: float,
    exemplars: Sequence[tuple[str, float] | None],
) -> None:
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    below = 0
    for index, (bound, count) in enumerate(zip(_BOUND_TEXTS, counts, strict=True)):
        below += count
        exemplar = exemplars[index] if exemplars else None
        if exemplar is None:
            buckets.append((bound, below))
        else:
            buckets.append((bound, below, Exemplar({"trace_id": exemplar[0]}, exemplar[1])))
    family.add_metric(labels, buckets, total)  # type: ignore[attr-defined]  # as above
