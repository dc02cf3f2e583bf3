"""Every metric there is: its name, kind, labels and meaning. A metric that is not in this table cannot be recorded.

Names follow OpenMetrics: base units (seconds, bytes, ratios from 0 to 1), counters end in `_total`. Labels have few values:
a route is a prefix or a template, never a path; a peer is a service, never an address. docs/metrics.md has the same table
(a test compares them), and dashboards and alerts may use these names only (another test).
"""

from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]


class Family(msgspec.Struct, frozen=True):
    """One row: all time series of one name."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


_RED = ("kind", "service", "route", "peer")

FAMILIES: tuple[Family, ...] = (
    # RED: requests, errors, durations.
    Family("kinema_requests_total", "counter", (*_RED, "status"), "Requests that have ended, by class of status."),
    Family("kinema_request_duration_seconds", "histogram", _RED, "How long they took, with a trace as exemplar."),
    Family(
        "kinema_retries_total", "counter", ("service", "peer"), "Attempts that failed and were made again elsewhere."
    ),
    Family(
        "kinema_fallbacks_total", "counter", ("service", "peer", "reason"), "Calls answered without the service called."
    ),
    # USE: processes.
    Family("process_cpu_seconds_total", "counter", (), "User and system time of the process."),
    Family("process_resident_memory_bytes", "gauge", (), "Memory of the process that is in RAM."),
    Family("process_open_fds", "gauge", (), "Descriptors that are open."),
    Family("process_max_fds", "gauge", (), "Descriptors that may be open."),
    Family("process_threads", "gauge", (), "Threads of the process."),
    Family("process_start_time_seconds", "gauge", (), "When the process started, in Unix seconds."),
    Family("kinema_loop_lag_seconds", "histogram", (), "How much later than asked the event loop called back."),
    Family("kinema_gc_collections_total", "counter", ("generation",), "Runs of the garbage collector."),
    Family("kinema_gc_pause_seconds_total", "counter", (), "Time that they took."),
    # USE: pools.
    Family("kinema_pool_in_use", "gauge", ("pool",), "What is taken: connections, threads."),
    Family("kinema_pool_limit", "gauge", ("pool",), "How much may be taken; absent where nothing bounds it."),
    Family("kinema_pool_waiting", "gauge", ("pool",), "Who waits because all is taken."),
    Family("kinema_pool_errors_total", "counter", ("pool",), "Who was turned away, or waited in vain."),
    # Resilience.
    Family("kinema_breakers", "gauge", ("peer", "state"), "Instances of a called service by state of their breaker."),
    Family("kinema_concurrency_limit", "gauge", ("peer",), "Calls that may be under way to a service, all instances."),
    Family("kinema_concurrency_in_flight", "gauge", ("peer",), "Calls that are."),
    Family("kinema_ejected_instances", "gauge", ("peer",), "Instances that are left alone for their errors."),
    Family(
        "kinema_admissions_total",
        "counter",
        ("service", "priority", "outcome"),
        "Requests by class: admitted, or shed because there was too much to do.",
    ),
    # Parts.
    Family("kinema_edge_answers_total", "counter", ("result",), "Answers of an edge by what the cache did."),
    Family("kinema_edge_sent_bytes_total", "counter", (), "Media bytes handed to clients."),
    Family("kinema_edge_cache_bytes", "gauge", ("state",), "Bytes of the cache: held, limit."),
    Family("kinema_edge_cache_slices", "gauge", (), "Slices that the cache holds."),
    Family("kinema_cache_reads_total", "counter", ("namespace", "result"), "Reads through the region's cache."),
    Family("kinema_cache_loads_total", "counter", ("namespace", "outcome"), "Loads of what it did not have."),
    Family("kinema_cache_zone_calls_total", "counter", ("zone", "result"), "Keys asked of and written to its zones."),
    Family("kinema_push_connections", "gauge", ("transport",), "Devices that listen at a gateway."),
    Family("kinema_push_messages_total", "counter", ("result",), "Messages for devices: taken, or known already."),
    Family("kinema_push_deliveries_total", "counter", (), "Devices that took a message, each time."),
    Family("kinema_push_dropped_total", "counter", ("reason",), "Connections of devices that a gateway ended."),
    Family("kinema_websocket_tunnels", "gauge", (), "WebSockets that pass through a gateway to a service."),
    Family("kinema_discovery_instances", "gauge", ("service",), "Live instances as this process knows them."),
    # Observability itself.
    Family("kinema_spans_total", "counter", ("outcome",), "Spans: recorded, and what became of them."),
    Family(
        "kinema_reports_total", "counter", ("outcome",), "Batches for the telemetry service: sent, failed, dropped."
    ),
)

BY_NAME = {family.name: family for family in FAMILIES}
