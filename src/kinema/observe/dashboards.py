"""Grafana dashboards, made from rows of panels: overview, service, gateway, edge and process.

Each dashboard asks for its Prometheus by a variable, so it can be imported anywhere. Queries may use the metrics of
`core.metric_families` and the recorded shares of `rules.py` only; a test reads the names out of every query.
"""

import msgspec

from kinema.observe.rules import recorded

_WIDTH = 24
_HEIGHT = 8
_SCHEMA = 38  # of Grafana 10; newer ones migrate it
_SOURCE = {"type": "prometheus", "uid": "${source}"}


class Query(msgspec.Struct, frozen=True):
    """A PromQL expression, and what its series are called."""

    expr: str
    legend: str = ""


class Panel(msgspec.Struct, frozen=True):
    """A graph: its title, what it shows, in which unit of Grafana, and how many of 24 columns it takes."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12


class Dashboard(msgspec.Struct, frozen=True):
    """A page of panels. `variables` are (name, query) of values to choose from."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = ()


def _rate(selector: str = "", by: str = "") -> str:
    return f"sum{by}(rate(kinema_requests_total{{{selector}}}[$__rate_interval]))"


def _errors(selector: str, by: str = "") -> str:
    failed = f'sum{by}(rate(kinema_requests_total{{{selector},status="5xx"}}[$__rate_interval]))'
    return f"{failed} / {_rate(selector, by)}"


def _quantile(share: float, selector: str, by: str) -> str:
    return (
        f"histogram_quantile({share}, sum by (le{by}) "
        f"(rate(kinema_request_duration_seconds_bucket{{{selector}}}[$__rate_interval])))"
    )


def _red(selector: str, label: str) -> tuple[Panel, ...]:
    """Requests, errors and durations by one label."""
    by = f" by ({label}) "
    name = f"{{{{{label}}}}}"
    return (
        Panel("Requests a second", (Query(_rate(selector, by), name),), "reqps", 8),
        Panel("Share of errors (5xx)", (Query(_errors(selector, by), name),), "percentunit", 8),
        Panel(
            "Duration",
            (
                Query(_quantile(0.5, selector, f", {label}"), f"p50 {name}"),
                Query(_quantile(0.99, selector, f", {label}"), f"p99 {name}"),
            ),
            "s",
            8,
        ),
    )


DASHBOARDS: tuple[Dashboard, ...] = (
    Dashboard(
        "overview",
        "Kinema: overview",
        (
            *_red('kind="gateway"', "route"),
            *_red('kind="server"', "service"),
            Panel("Share of bad requests by objective, 1 h", (Query(f"{recorded(3600)}", "{{slo}}"),), "percentunit"),
            Panel("Processes that answer", (Query('sum by (job) (up{job="kinema"})', "up"),)),
        ),
    ),
    Dashboard(
        "service",
        "Kinema: service",
        (
            *_red('kind="server",service="$service"', "route"),
            Panel(
                "Calls to others a second",
                (Query(_rate('kind="client",service="$service"', " by (peer) "), "{{peer}}"),),
                "reqps",
                8,
            ),
            Panel(
                "Share of calls that fail",
                (Query(_errors('kind="client",service="$service"', " by (peer) "), "{{peer}}"),),
                "percentunit",
                8,
            ),
            Panel(
                "Calls, p99",
                (Query(_quantile(0.99, 'kind="client",service="$service"', ", peer"), "{{peer}}"),),
                "s",
                8,
            ),
            Panel(
                "Database and blobs, p99",
                (Query(_quantile(0.99, 'kind="storage",service="$service"', ", route"), "{{route}}"),),
                "s",
            ),
            Panel(
                "Retries a second",
                (
                    Query(
                        'sum by (peer) (rate(kinema_retries_total{service="$service"}[$__rate_interval]))', "{{peer}}"
                    ),
                ),
                "reqps",
            ),
        ),
        (("service", 'label_values(kinema_requests_total{kind="server"}, service)'),),
    ),
    Dashboard(
        "gateway",
        "Kinema: gateway",
        (
            *_red('kind="gateway",route=~"$route"', "route"),
            Panel(
                "Answers by class",
                (Query(_rate('kind="gateway",route=~"$route"', " by (status) "), "{{status}}"),),
                "reqps",
                8,
            ),
            Panel(
                "Attempts at services, p99",
                (Query(_quantile(0.99, 'kind="client",service="gateway"', ", peer"), "{{peer}}"),),
                "s",
                8,
            ),
            Panel(
                "Retries a second",
                (Query('sum by (peer) (rate(kinema_retries_total{service="gateway"}[$__rate_interval]))', "{{peer}}"),),
                "reqps",
                8,
            ),
        ),
        (("route", 'label_values(kinema_requests_total{kind="gateway"}, route)'),),
    ),
    Dashboard(
        "edge",
        "Kinema: edge",
        (
            Panel(
                "Answers a second by what the cache did",
                (Query("sum by (result) (rate(kinema_edge_answers_total[$__rate_interval]))", "{{result}}"),),
                "reqps",
            ),
            Panel(
                "Hit ratio",
                (
                    Query(
                        'sum(rate(kinema_edge_answers_total{result="hit"}[$__rate_interval]))'
                        ' / sum(rate(kinema_edge_answers_total{result=~"hit|miss|collapsed"}[$__rate_interval]))',
                        "hits",
                    ),
                ),
                "percentunit",
            ),
            Panel(
                "Media sent",
                (Query("sum by (instance) (rate(kinema_edge_sent_bytes_total[$__rate_interval]))", "{{instance}}"),),
                "Bps",
            ),
            Panel(
                "Cache",
                (Query("sum by (state) (kinema_edge_cache_bytes)", "{{state}}"),),
                "bytes",
            ),
            Panel("Slices held", (Query("kinema_edge_cache_slices", "{{instance}}"),)),
            Panel("Answers that had to wait, p99", (Query(_quantile(0.99, 'kind="edge"', ""), "p99"),), "s"),
        ),
    ),
    Dashboard(
        "process",
        "Kinema: process",
        (
            Panel(
                "Processor",
                (Query('rate(process_cpu_seconds_total{instance=~"$instance"}[$__rate_interval])', "{{instance}}"),),
                "percentunit",
            ),
            Panel("Memory", (Query('process_resident_memory_bytes{instance=~"$instance"}', "{{instance}}"),), "bytes"),
            Panel(
                "Event loop's lag, p99",
                (
                    Query(
                        "histogram_quantile(0.99, sum by (le, instance) "
                        '(rate(kinema_loop_lag_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
                        "{{instance}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Time in the garbage collector",
                (
                    Query(
                        'rate(kinema_gc_pause_seconds_total{instance=~"$instance"}[$__rate_interval])', "{{instance}}"
                    ),
                ),
                "percentunit",
            ),
            Panel(
                "Descriptors, share of what is allowed",
                (
                    Query(
                        'process_open_fds{instance=~"$instance"} / process_max_fds{instance=~"$instance"}',
                        "{{instance}}",
                    ),
                ),
                "percentunit",
            ),
            Panel("Threads", (Query('process_threads{instance=~"$instance"}', "{{instance}}"),)),
            Panel(
                "Pools: in use",
                (Query('kinema_pool_in_use{instance=~"$instance"}', "{{instance}} {{pool}}"),),
            ),
            Panel(
                "Pools: waiting, and turned away a second",
                (
                    Query('kinema_pool_waiting{instance=~"$instance"}', "{{instance}} {{pool}} waiting"),
                    Query(
                        'rate(kinema_pool_errors_total{instance=~"$instance"}[$__rate_interval])',
                        "{{instance}} {{pool}} errors",
                    ),
                ),
            ),
        ),
        (("instance", "label_values(process_cpu_seconds_total, instance)"),),
    ),
)


def encode(dashboard: Dashboard) -> str:
    """Return a dashboard in Grafana's JSON."""
    panels: list[dict[str, object]] = []
    x = y = 0
    for number, panel in enumerate(dashboard.panels, 1):
        if x + panel.width > _WIDTH:
            x, y = 0, y + _HEIGHT
        panels.append(_panel(panel, number, x, y))
        x += panel.width
    document = {
        "uid": f"kinema-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["kinema"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "tags": ["kinema"], "title": "Kinema", "asDropdown": True, "includeVars": True}
        ],
        "templating": {"list": [_source(), *(_variable(name, query) for name, query in dashboard.variables)]},
        "panels": panels,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, object]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {"drawStyle": "line", "fillOpacity": 10}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "exemplar": "_bucket" in query.expr,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _source() -> dict[str, object]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(name: str, query: str) -> dict[str, object]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": False,
        "includeAll": name != "service",
        "allValue": ".*",
    }
