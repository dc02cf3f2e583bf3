"""Two instances of telemetry on one database, fed with reports as processes send them."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from kinema.core.histogram import BOUNDS
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.core.property_scope import Override
from kinema.model.telemetry import (
    Batch,
    Breaker,
    LogLine,
    Objectives,
    PoolUsage,
    Processes,
    ProcessUsage,
    RedDelta,
    Resilience,
    ResilienceState,
    ServiceMap,
    ServiceSeries,
    Shed,
    Span,
    Trace,
    TraceList,
    Wanted,
)
from kinema.observe.objectives import Objective
from kinema.services.telemetry.app import create_telemetry
from kinema.services.telemetry.retention import MOST_SPANS, Retention
from kinema.services.telemetry.tables import indicators, reports, spans, traces
from kinema.storage.engines import open_sql
from tests.support.services import ShiftedClock, as_, running

OBJECTIVES = (
    Objective("available", 0.99, service="gateway"),
    Objective("quick", 0.9, service="gateway", route="/v1/plays", under_seconds=0.5),
)
USAGE = ProcessUsage(1.0, 0.25, 1 << 26, 30, 1024, 4, 0.002, 0.0, (PoolUsage("http", 3.0, 64.0),))
BELOW_5_MS, BELOW_750_MS = BOUNDS.index(0.005), BOUNDS.index(0.75)


def red(kind="gateway", service="gateway", route="/v1/plays", peer=None, fast=0, slow=0, failed=0):
    counts = tuple((bucket, n) for bucket, n in ((BELOW_5_MS, fast + failed), (BELOW_750_MS, slow)) if n)
    if peer is None:
        peer = "playback" if kind == "client" else ""
    return RedDelta(kind, service, route, peer, counts, (0, 0, fast + slow, 0, 0, failed), 0.1)


def span(trace, number, at, *, parent=0, service="gateway", name="GET /v1/plays", seconds=0.01, status=200):
    return Span(
        trace_id=f"{trace:032x}",
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        name=name,
        kind="server",
        service=service,
        instance=f"{service}-1",
        started_at=at,
        seconds=seconds,
        status=status,
        error=status >= 500,
    )


class Room:
    def __init__(self, path, database, objectives):
        self.clock = ShiftedClock()
        self.keys = KeyRing(path)
        self.sqls = [open_sql(path, database, "telemetry") for _ in range(2)]
        self.apps = [
            create_telemetry(
                instance=f"telemetry-{number}", sql=sql, keys=self.keys, clock=self.clock, objectives=objectives
            )
            for number, sql in enumerate(self.sqls, 1)
        ]
        self.sequences = {}

    def batch(self, process="gateway-1", **facts):
        self.sequences[process] = self.sequences.get(process, 0) + 1
        base = {"boot": "b1", "sequence": self.sequences[process], "at": self.clock.now(), "seconds": 2.0}
        return Batch(process=process, **{**base, "services": ("gateway",), "usage": USAGE, **facts})

    async def report(self, batch, instance=0, role="service"):
        headers = as_(role, self.keys, self.clock)
        answer = await self.clients[instance].post(
            "/v1/internal/telemetry/reports", content=msgspec.json.encode(batch), headers=headers
        )
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Wanted)

    async def ask(self, path, kind, instance=0):
        answer = await self.clients[instance].get(path, headers=as_("operator", self.keys, self.clock))
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=kind)

    async def until(self, path, kind, holds, instance=0):
        async with asyncio.timeout(20):
            while not holds(found := await self.ask(path, kind, instance)):  # noqa: ASYNC110 -- it is asked by HTTP
                await asyncio.sleep(0.05)
        return found

    async def until_wanted(self, expected, instance=0):
        async with asyncio.timeout(20):
            while set((await self.report(self.batch("cell-1"), instance)).traces) != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(path, database="", objectives=OBJECTIVES):
    room = Room(path, database, objectives)
    async with running(room.apps[0]) as one, running(room.apps[1]) as other:
        room.clients = [one, other]
        yield room
    for sql in room.sqls:
        await sql.close()


@pytest.fixture
async def room(tmp_path):
    async with opened(tmp_path) as one:
        yield one


async def test_the_map_is_drawn_from_calls(room):
    await room.report(
        room.batch(
            reds=(red(fast=70), red("client", fast=58, failed=2), red("server", "playback", "GET /x", "", fast=60))
        )
    )
    await room.report(room.batch("cell-1", reds=(red("client", "playback", "GET /v1/t/{id}", "catalog", slow=60),)))
    found = await room.until(
        "/v1/telemetry/map",
        ServiceMap,
        lambda seen: len(seen.edges) == 3 and any(node.instances == 2 for node in seen.nodes),
    )
    nodes = {node.name: node for node in found.nodes}
    edges = {(edge.source, edge.target): edge for edge in found.edges}
    assert set(nodes) == {"clients", "gateway", "playback", "catalog"}
    assert set(edges) == {("clients", "gateway"), ("gateway", "playback"), ("playback", "catalog")}
    assert edges["gateway", "playback"].error_ratio == pytest.approx(2 / 60)
    assert 0.8 < edges["gateway", "playback"].rps <= 1.1
    assert 0.5 < edges["playback", "catalog"].p99_seconds <= 0.75
    assert (nodes["gateway"].kind, nodes["gateway"].instances) == ("gateway", 2)


async def test_both_instances_show_what_either_was_told(room):
    await asyncio.gather(
        *(room.report(room.batch(f"gateway-{n}", reds=(red(fast=10),)), instance=n % 2) for n in range(1, 9)),
    )
    path = "/v1/telemetry/services/gateway?minutes=15"
    one, other = [
        await room.until(path, ServiceSeries, lambda seen: sum(r.requests for r in seen.routes) == 80, instance)
        for instance in (0, 1)
    ]
    assert one.routes[0].p99 == other.routes[0].p99
    assert [sum(route.rps) for route in one.routes] == [sum(route.rps) for route in other.routes]


async def test_a_report_that_comes_twice_counts_once(room):
    batch = room.batch(reds=(red(fast=7),))
    await room.report(batch)
    await room.report(batch, instance=1)
    await room.report(room.batch(reds=(red(fast=1),)))
    path = "/v1/telemetry/services/gateway"
    found = await room.until(path, ServiceSeries, lambda seen: sum(r.requests for r in seen.routes) >= 8)
    assert found.routes[0].requests == 8
    slo = await room.ask("/v1/telemetry/slo", Objectives)
    assert slo.objectives[0].total == 8


async def test_a_process_that_starts_again_counts_from_one(room):
    await room.report(room.batch(reds=(red(fast=7),)))
    await room.report(room.batch(reds=(red(fast=1),), boot="b2", sequence=1))
    path = "/v1/telemetry/services/gateway"
    found = await room.until(path, ServiceSeries, lambda seen: sum(r.requests for r in seen.routes) >= 8)
    assert found.routes[0].requests == 8


async def test_a_series_has_a_value_for_each_step(room):
    await room.report(room.batch(reds=(red(fast=30, failed=6),)))
    path = "/v1/telemetry/services/gateway?minutes=60"
    found = await room.until(path, ServiceSeries, lambda seen: bool(seen.routes))
    (route,) = found.routes
    assert (found.steps, found.step_seconds) == (60, 60)
    assert len(route.rps) == len(route.errors) == len(route.p99_seconds) == 60
    assert sum(route.rps) * 60 == pytest.approx(36)
    assert sum(route.errors) * 60 == pytest.approx(6)
    assert [value for value in route.p50_seconds if value is not None] == [pytest.approx(0.004, abs=0.001)]


async def test_what_is_older_than_the_window_leaves_the_map(room):
    await room.report(room.batch(reds=(red(fast=60),)))
    await room.until("/v1/telemetry/map", ServiceMap, lambda seen: bool(seen.edges))
    room.clock.shift += 90
    found = await room.ask("/v1/telemetry/map", ServiceMap)
    assert found.edges == ()


async def test_an_instance_that_starts_later_shows_the_last_hour(room, tmp_path):
    await room.report(room.batch(reds=(red(fast=12),)))
    sql = open_sql(tmp_path, "", "telemetry")
    late = create_telemetry(instance="telemetry-3", sql=sql, keys=room.keys, clock=room.clock, objectives=OBJECTIVES)
    async with running(late) as client:
        room.clients.append(client)
        path = "/v1/telemetry/services/gateway"
        found = await room.until(path, ServiceSeries, lambda seen: bool(seen.routes), instance=2)
    await sql.close()
    assert found.routes[0].requests == 12


async def test_processes_show_their_usage_until_they_fall_silent(room):
    await room.report(room.batch())
    (one,) = (await room.ask("/v1/telemetry/instances", Processes, instance=1)).processes
    assert (one.process, one.services, one.usage) == ("gateway-1", ("gateway",), USAGE)
    room.clock.shift += 20
    assert (await room.ask("/v1/telemetry/instances", Processes)).processes == ()


async def test_breakers_and_shed_requests_are_shown_by_process(room):
    state = ResilienceState(
        breakers=(Breaker("catalog", "catalog-1", "open", 0.6, 0.0, 40),), shed=(Shed("gateway", "bulk", 10, 90),)
    )
    await room.report(room.batch(resilience=state))
    await room.report(room.batch("edge-1"))
    (one,) = (await room.ask("/v1/telemetry/resilience", Resilience, instance=1)).processes
    assert (one.process, one.state) == ("gateway-1", state)


async def test_a_trace_is_put_together_from_what_several_processes_report(room):
    now = room.clock.now()
    line = LogLine(f"{7:032x}", now, "warning", "catalog", "catalog-1", "request failed", {"status": "503"})
    await room.report(
        room.batch("cell-1", spans=(span(7, 2, now + 0.002, parent=1, service="catalog"),), logs=(line,)), instance=1
    )
    await room.report(room.batch(spans=(span(7, 1, now, seconds=0.2),)))
    found = await room.ask(f"/v1/telemetry/traces/{7:032x}", Trace)
    assert [(one.service, one.span_id, one.parent_id) for one in found.spans] == [
        ("gateway", f"{1:016x}", ""),
        ("catalog", f"{2:016x}", f"{1:016x}"),
    ]
    assert found.seconds == pytest.approx(0.2, abs=1e-3)
    assert found.logs == (line,)
    (summary,) = (await room.ask("/v1/telemetry/traces", TraceList)).traces
    assert (summary.service, summary.seconds, summary.spans) == ("gateway", 0.2, 2)
    assert summary.services == ("catalog", "gateway")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1]),
        ("errors=true", [3]),
        ("order=slow&limit=2", [2, 4]),
        ("least_seconds=1.5", [2]),
        ("service=catalog", [4]),
        ("service=gateway&route=GET%20/v1/home", [1]),
        ("service=nobody", []),
    ],
)
async def test_traces_are_found_by_what_they_are(room, query, expected):
    now = room.clock.now() - 60
    await room.report(
        room.batch(
            spans=(
                span(1, 1, now, name="GET /v1/home"),
                span(2, 2, now + 1, seconds=2.5),
                span(3, 3, now + 2, status=503),
                span(4, 4, now + 3, seconds=0.5),
                span(4, 5, now + 3.1, parent=4, service="catalog"),
            )
        )
    )
    found = await room.ask(f"/v1/telemetry/traces?{query}", TraceList)
    assert [int(one.trace_id, 16) for one in found.traces] == expected


async def test_traces_that_failed_or_were_slow_are_wanted_whole(room):
    now = room.clock.now()
    await room.report(room.batch(spans=(span(1, 1, now), span(2, 2, now, status=500), span(3, 3, now, seconds=1.5))))
    await room.until_wanted({f"{2:032x}", f"{3:032x}"}, instance=1)
    room.clock.shift += 60
    await room.until_wanted(set())


async def rows(room, table):
    async with room.sqls[0].read() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(table))


async def test_errors_are_kept_for_a_day_and_the_rest_for_an_hour(room):
    now = room.clock.now()
    await room.report(room.batch(spans=(span(1, 1, now), span(2, 2, now)), reds=(red(fast=1),)))
    await room.report(room.batch(spans=(span(2, 3, now, parent=2, status=500),)))
    retention = Retention(room.sqls[0], Properties())
    room.clock.shift += 3700
    await retention.sweep(room.clock.now())
    assert [await rows(room, table) for table in (spans, traces, reports)] == [2, 1, 0]
    room.clock.shift += 24 * 3600
    await retention.sweep(room.clock.now())
    assert [await rows(room, table) for table in (spans, traces)] == [0, 0]


async def test_the_number_of_spans_is_bounded_and_errors_go_last(room):
    now = room.clock.now()
    for number in range(10):
        room.clock.shift += 1
        await room.report(room.batch(spans=(span(number, number, now, status=500 if number == 0 else 200),)))
    few = Properties()
    few.replace_overrides([Override(MOST_SPANS.name, 4)])
    await Retention(room.sqls[0], few).sweep(room.clock.now())
    found = await room.ask("/v1/telemetry/traces", TraceList)
    assert sorted(int(one.trace_id, 16) for one in found.traces) == [0, 7, 8, 9]


async def test_minutes_of_objectives_become_hours_and_lose_nothing(room):
    for _ in range(5):
        await room.report(room.batch(reds=(red(fast=9, failed=1),)))
        room.clock.shift += 60
    before = (await room.ask("/v1/telemetry/slo", Objectives)).objectives
    room.clock.shift += 4 * 24 * 3600
    await Retention(room.sqls[0], Properties()).sweep(room.clock.now())
    after = (await room.ask("/v1/telemetry/slo", Objectives)).objectives
    assert [(one.good, one.total) for one in after] == [(one.good, one.total) for one in before] == [(45, 50), (50, 50)]
    assert await rows(room, indicators) in {2, 4}  # the five minutes may lie in two hours


async def test_objectives_show_budget_burn_and_alerts(room):
    await room.report(room.batch(reds=(red(fast=80, failed=20),)))
    found = {one.name: one for one in (await room.ask("/v1/telemetry/slo", Objectives)).objectives}
    available, quick = found["available"], found["quick"]
    assert (available.good, available.total, available.sli) == (80, 100, 0.8)
    assert available.budget_left == pytest.approx(-19)
    assert {round(one.rate, 6) for one in available.burn} == {20.0}
    assert [alert.firing for alert in available.alerts] == [True, True, True, True]
    assert (quick.sli, quick.budget_left) == (1.0, 1.0)
    assert [alert.firing for alert in quick.alerts] == [False] * 4


async def test_trouble_that_is_over_ends_the_quick_alert(room):
    await room.report(room.batch(reds=(red(fast=80, failed=20),)))
    room.clock.shift += 420
    await room.report(room.batch(reds=(red(fast=100),)))
    available = (await room.ask("/v1/telemetry/slo", Objectives)).objectives[0]
    assert [alert.firing for alert in available.alerts] == [False, True, True, True]


async def test_counters_out_of_range_are_refused(room):
    for bad in (
        RedDelta("gateway", "gateway", "/v1/x", "", ((400, 1),), (0, 0, 1, 0, 0, 0), 0.1),
        RedDelta("gateway", "gateway", "/v1/x", "", (), (1,), 0.1),
        RedDelta("gateway", "gateway", "/v1/x", "", ((1, -5),), (0, 0, 1, 0, 0, 0), 0.1),
    ):
        answer = await room.clients[0].post(
            "/v1/internal/telemetry/reports",
            content=msgspec.json.encode(room.batch(reds=(bad,))),
            headers=as_("service", room.keys, room.clock),
        )
        assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("path", ["map", "services/gateway", "instances", "resilience", "traces", "slo"])
async def test_viewers_see_nothing_of_it(room, path):
    answer = await room.clients[0].get(f"/v1/telemetry/{path}", headers=as_("viewer", room.keys, room.clock))
    assert answer.status_code == 403


async def test_operators_cannot_report(room):
    answer = await room.clients[0].post(
        "/v1/internal/telemetry/reports",
        content=msgspec.json.encode(room.batch()),
        headers=as_("operator", room.keys, room.clock),
    )
    assert answer.status_code == 403


async def test_a_trace_that_nobody_knows_is_not_found(room):
    answer = await room.clients[0].get(f"/v1/telemetry/traces/{9:032x}", headers=as_("operator", room.keys, room.clock))
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 404
