"""What caches have done, as samples for `Metrics.source`: reads and loads by namespace, calls by zone."""

from collections.abc import Iterator

from kinema.core.metrics import Sample, sample
from kinema.storage.cache_loading import LoadingSnapshot
from kinema.storage.cache_zones import ZonesSnapshot


def loading_samples(snapshot: LoadingSnapshot) -> Iterator[Sample]:
    """Yield reads by how they were answered, and loads by how they ended."""
    reads = {
        "hit": snapshot.hits,
        "miss": snapshot.misses,
        "stale": snapshot.stale_served,
        "stale_on_error": snapshot.stale_served_on_error,
        "shared": snapshot.shared,
        "refused": snapshot.refused,
    }
    for result, count in reads.items():
        yield sample("kinema_cache_reads_total", count, namespace=snapshot.namespace, result=result)
    loads = {
        "loaded": snapshot.loads,
        "failed": snapshot.load_failures,
        "too_large": snapshot.too_large,
    }
    for outcome, count in loads.items():
        yield sample("kinema_cache_loads_total", count, namespace=snapshot.namespace, outcome=outcome)


def zone_samples(snapshot: ZonesSnapshot) -> Iterator[Sample]:
    """Yield what was asked of each zone by what came of it."""
    for zone in snapshot.zones:
        calls = {
            "hit": zone.hits,
            "miss": zone.misses,
            "failure": zone.failures,
            "skipped": zone.skipped,
            "write": zone.writes,
            "left_out": zone.left_out,
            "back_fill": zone.back_fills,
        }
        for result, count in calls.items():
            yield sample("kinema_cache_zone_calls_total", count, zone=zone.zone, result=result)
