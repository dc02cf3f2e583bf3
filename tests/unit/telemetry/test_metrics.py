import asyncio
import bisect
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from kinema.core.clock import SystemClock
from kinema.core.histogram import BOUNDS, BUCKETS, quantile, within
from kinema.core.metrics import MOST_ROUTES, Metrics, UnknownMetric, sample
from kinema.observe import exposition
from kinema.observe.listener import MetricsPage
from kinema.observe.usage import UsageMeter

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def counts_of(durations):
    counts = [0] * BUCKETS
    for one in durations:
        counts[bisect.bisect_left(BOUNDS, one)] += 1
    return counts


@given(st.lists(st.floats(0.0001, 29), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_is_in_the_bucket_of_the_true_one(durations, share):
    import math

    true = sorted(durations)[max(0, math.ceil(share * len(durations)) - 1)]
    index = bisect.bisect_left(BOUNDS, true)
    low = BOUNDS[index - 1] if index else 0.0
    assert low <= quantile(counts_of(durations), share) <= BOUNDS[index]


@given(st.lists(st.floats(0, 40)), st.lists(st.floats(0, 40)))
def test_histograms_of_two_processes_add_up_to_that_of_both(one, other):
    merged = [a + b for a, b in zip(counts_of(one), counts_of(other), strict=True)]
    assert merged == counts_of(one + other)


def test_nothing_observed_has_no_quantile():
    assert quantile([0] * BUCKETS, 0.5) is None


def test_what_is_slower_than_the_last_bound_reads_as_the_last_bound():
    assert quantile(counts_of([400.0]), 0.99) == 30.0


def test_counting_within_a_bound_includes_the_bound():
    assert within(counts_of([0.1, 0.3, 0.31]), 0.3) == 2


def test_an_objective_beside_the_bounds_is_refused():
    with pytest.raises(ValueError):
        within([0] * BUCKETS, 0.25)


def test_the_same_key_is_the_same_accumulator():
    metrics = Metrics("catalog")
    red = metrics.red("server", "/v1/home")
    red.record(0.002, 200, "a" * 32)
    assert metrics.red("server", "/v1/home", service="catalog") is red
    assert red.statuses == [0, 0, 1, 0, 0, 0]
    assert red.exemplars[BOUNDS.index(0.002)] == ("a" * 32, 0.002)


def test_routes_are_bounded():
    metrics = Metrics("catalog")
    for number in range(MOST_ROUTES + 50):
        metrics.red("client", f"GET /{number}").record(0.1, 200)
    assert len(metrics.reds()) == MOST_ROUTES + 1
    assert metrics.red("client", "GET /another").statuses[2] == 50


def test_a_metric_that_is_not_in_the_table_is_refused():
    with pytest.raises(UnknownMetric):
        Metrics().counter("kinema_surprises_total")


def test_labels_that_are_not_in_the_table_are_refused():
    with pytest.raises(UnknownMetric):
        Metrics().gauge("kinema_pool_in_use", lambda: 1.0, address="127.0.0.1:1")


def a_process():
    metrics = Metrics("gateway")
    red = metrics.red("gateway", "/v1/titles", "catalog")
    red.record(0.004, 200, "0af7651916cd43dd8448eb211c80319c")
    red.record(45.0, 504)
    red.record(0.1, 0)
    metrics.counter("kinema_retries_total", service="gateway", peer="catalog").add(3)
    metrics.gauge("kinema_pool_in_use", lambda: 7.0, pool="http")
    metrics.source(lambda: [sample("kinema_discovery_instances", 2, service="catalog")])
    return metrics


def read(families):
    return {(one.name, *sorted(one.labels.items())): one for family in families for one in family.samples}


@pytest.mark.parametrize(
    ("accept", "parse", "content_type"),
    [(OPENMETRICS, parse_openmetrics, "application/openmetrics-text"), ("*/*", parse_text, "text/plain")],
)
def test_the_page_says_what_was_recorded(accept, parse, content_type):
    kind, page = exposition.page(a_process(), accept)
    found = read(parse(page.decode()))
    labels = [("kind", "gateway"), ("peer", "catalog"), ("route", "/v1/titles"), ("service", "gateway")]
    bucket = "kinema_request_duration_seconds_bucket"
    assert kind.startswith(content_type)
    assert found["kinema_requests_total", *labels, ("status", "5xx")].value == 1
    assert found["kinema_requests_total", *labels, ("status", "none")].value == 1
    assert [found[bucket, *sorted([*labels, ("le", le)])].value for le in ("0.003", "0.005", "30.0", "+Inf")] == [
        *(0, 1, 2, 3),
    ]
    assert found["kinema_request_duration_seconds_sum", *labels].value == pytest.approx(45.104)
    assert found["kinema_retries_total", ("peer", "catalog"), ("service", "gateway")].value == 3
    assert found["kinema_pool_in_use", ("pool", "http")].value == 7
    assert found["kinema_discovery_instances", ("service", "catalog")].value == 2


def test_openmetrics_carry_the_trace_of_an_example():
    _, page = exposition.page(a_process(), OPENMETRICS)
    exemplars = [one.exemplar for family in parse_openmetrics(page.decode()) for one in family.samples if one.exemplar]
    assert [(one.labels, one.value) for one in exemplars] == [({"trace_id": "0af7651916cd43dd8448eb211c80319c"}, 0.004)]


@pytest.fixture
async def page(tmp_path):
    metrics = a_process()
    meter = UsageMeter(metrics)
    one = MetricsPage(metrics, SystemClock(), tmp_path, "gateway-1", {"region": "home", "zone": "a"})
    await one.start()
    yield one
    await one.close()
    meter.close()


async def get(page, path="/metrics", **headers):
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{page.port}{path}", headers=headers)


async def test_a_process_shows_its_usage(page):
    found = read(parse_text((await get(page)).text))
    assert found["process_cpu_seconds_total",].value > 0
    assert found["process_resident_memory_bytes",].value > 1 << 20
    assert 0 < found["process_open_fds",].value < found["process_max_fds",].value
    assert found["process_threads",].value >= 1


async def test_the_lag_of_the_event_loop_is_seen(page):
    import time

    time.sleep(0.6)  # noqa: ASYNC251 -- it is what must be noticed
    async with asyncio.timeout(20):
        while True:
            found = read(parse_text((await get(page)).text))
            late = found["kinema_loop_lag_seconds_bucket", ("le", "+Inf")].value
            if late > found["kinema_loop_lag_seconds_bucket", ("le", "0.1")].value:
                return


async def test_prometheus_finds_the_page_by_a_file(page, tmp_path):
    path = tmp_path / "run" / "metrics" / "gateway-1.json"
    assert json.loads(path.read_text()) == [
        {
            "targets": [f"127.0.0.1:{page.port}"],
            "labels": {"instance": "gateway-1", "region": "home", "zone": "a"},
        }
    ]
    await page.close()
    assert not path.exists()


async def test_a_name_that_points_here_is_refused(page):
    assert (await get(page, host="evil.example:80")).status_code == 403


async def test_other_addresses_are_not_found(page):
    assert (await get(page, "/")).status_code == 404
