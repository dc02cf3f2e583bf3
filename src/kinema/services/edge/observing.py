"""What an edge records: its counters as metrics, and RED of its answers.

A hit is answered inside the callback that read the request, far below the first bucket's bound, so hits are not timed: whoever
reads the metrics finds those since the last time in the first bucket. What had to wait for the parent is timed to its first byte.
"""

from collections.abc import Callable

from kinema.core.metrics import Metrics
from kinema.services.edge.status import EdgeStatus

SERVICE = "edge"
_RESULTS = {
    "hit": "hits",
    "miss": "misses",
    "collapsed": "collapsed",
    "warmed": "warmed",
    "damaged": "damaged",
    "failed": "failed",
    "uncached": "uncached",
    "evicted": "evicted",
    "refused": "refused",
}


class EdgeRecords:
    """Reads the counters of one edge; `waited` takes an answer that was no hit."""

    def __init__(self, metrics: Metrics, status: EdgeStatus) -> None:
        self._status = status
        self._hits = metrics.red(SERVICE, "hit", service=SERVICE)
        self._waited = metrics.red(SERVICE, "miss", "blobs", service=SERVICE)
        self._seen = 0
        metrics.before_reading(self._move_hits)
        for result, field in _RESULTS.items():
            metrics.counted("kinema_edge_answers_total", _reading(status, field), result=result)
        metrics.counted("kinema_edge_sent_bytes_total", _reading(status, "bytes_sent"))
        metrics.gauge("kinema_edge_cache_bytes", _reading(status, "bytes_held"), state="held")
        metrics.gauge("kinema_edge_cache_bytes", _reading(status, "bytes_limit"), state="limit")
        metrics.gauge("kinema_edge_cache_slices", _reading(status, "slices"))

    def waited(self, seconds: float, status: int) -> None:
        """Count an answer that began, or failed, after so many seconds."""
        self._waited.record(seconds, status)

    def _move_hits(self) -> None:
        hits = self._status.hits
        self._hits.record_quick(hits - self._seen)
        self._seen = hits


def _reading(status: EdgeStatus, field: str) -> Callable[[], float]:
    return lambda: float(getattr(status, field))
