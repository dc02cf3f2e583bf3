import asyncio

import msgspec
import pytest

from kinema.core import spans as tracing
from kinema.core.clock import ManualClock
from kinema.core.log import bind, configure, get_logger, keep
from kinema.core.metrics import Metrics
from kinema.core.spans import SpanContext, Spans
from kinema.http import Exchange
from kinema.model.telemetry import Batch, ProcessUsage, Span, Wanted
from kinema.observe.lines import TraceLines
from kinema.observe.reporter import Choice, Deltas, Reporter
from kinema.observe.usage import UsageMeter
from tests.support.fabric import fabric, until


def spans_of(trace, count=1, status=200, seconds=0.01):
    return [
        Span(
            f"{trace:032x}",
            f"{trace:08x}{n:08x}",
            "",
            "GET /x",
            "server",
            "s",
            "s-1",
            0.0,
            seconds,
            status,
            status >= 500,
        )
        for n in range(count)
    ]


def choose(choice, spans, now):
    choice.take_in(spans, now)
    return choice.choose(now)


def traces(spans):
    return [int(span.trace_id, 16) for span in spans]


def test_all_spans_are_sent_when_there_are_few():
    assert traces(choose(Choice(), [*spans_of(5, 2), *spans_of(3)], 0.0)) == [3, 5, 5]


def test_processes_choose_the_same_traces_when_there_are_many():
    one, other = Choice(most=4), Choice(most=7)
    sent = [traces(choose(choice, [s for n in range(50) for s in spans_of(n)], 0.0)) for choice in (one, other)]
    assert sent == [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6]]


def test_traces_are_sent_whole():
    assert traces(choose(Choice(most=5), [*spans_of(1, 3), *spans_of(2, 3), *spans_of(3, 1)], 0.0)) == [1, 1, 1]


@pytest.mark.parametrize("fact", [{"status": 500}, {"seconds": 1.5}])
def test_what_failed_or_was_slow_goes_first(fact):
    spans = [s for n in range(50) for s in spans_of(n, **(fact if n == 40 else {}))]
    assert traces(choose(Choice(most=2), spans, 0.0)) == [40, 0]


def test_what_others_want_is_sent_later():
    choice = Choice(most=2)
    choose(choice, [s for n in range(50) for s in spans_of(n)], 0.0)
    choice.want([f"{33:032x}"])
    assert traces(choose(choice, [], 2.0))[0] == 33


def test_what_nobody_wanted_for_half_a_minute_is_forgotten():
    choice = Choice(most=2)
    choose(choice, [s for n in range(50) for s in spans_of(n)], 0.0)
    choose(choice, [], 31.0)
    choice.want([f"{33:032x}"])
    assert choose(choice, [], 32.0) == []


def test_what_is_held_is_bounded():
    choice = Choice(most=1)
    for n in range(30):
        choose(choice, [s for m in range(1000) for s in spans_of(n * 1000 + m)], 0.0)
    assert choice._size <= 20_000
    assert choice._size == sum(len(spans) for _, spans in choice._kept.values())


def test_one_trace_larger_than_a_report_is_cut():
    assert len(choose(Choice(most=10), spans_of(1, 500), 0.0)) == 10


def test_only_what_has_changed_is_reported():
    metrics = Metrics("s")
    deltas = Deltas(metrics)
    red = metrics.red("server", "GET /x")
    red.record(0.002, 200)
    red.record(0.1, 503)
    (first,) = deltas.take()
    red.record(0.1, 200)
    (second,) = deltas.take()
    assert (first.statuses, second.statuses) == ((0, 0, 1, 0, 0, 1), (0, 0, 1, 0, 0, 0))
    assert [count for _, count in second.counts] == [1]
    assert second.total_seconds == pytest.approx(0.1)
    assert deltas.take() == ()


class Taker:
    """The telemetry service as a handler: what it was sent, and what it answers."""

    def __init__(self):
        self.batches = []
        self.status = 200
        self.wanted = ()

    def __call__(self, exchange: Exchange):
        async def answer():
            body = await exchange.body()
            self.batches.append(msgspec.json.decode(body, type=Batch))
            reply = msgspec.json.encode(Wanted(self.wanted)) if self.status == 200 else b""
            exchange.reply(self.status, ((b"content-type", b"application/json"),), reply)

        self.task = asyncio.get_running_loop().create_task(answer())


def usage(seconds):
    return ProcessUsage(0.0, 0.1, 1, 1, 1, 1, 0.0, 0.0)


@pytest.fixture
async def reporting(tmp_path):
    async with fabric(tmp_path) as one:
        one.metrics, one.spans = Metrics("s"), Spans(one.clock, "s", "s-1")
        one.lines = TraceLines(one.clock)
        one.reporter = Reporter("s-1", ("s",), one.metrics, one.spans, one.rpc, one.clock, usage, lines=one.lines)
        one.taker = Taker()
        yield one


async def test_a_report_carries_what_happened(reporting):
    await reporting.upstream("telemetry", reporting.taker)
    reporting.metrics.red("server", "GET /x").record(0.002, 200)
    context = SpanContext("7" * 32, "1" * 16, "s", "s-1")
    reporting.spans.record(context, "2" * 16, "GET /y", "client", reporting.spans.now(), 503, {"peer.service": "t"})
    reporting.lines({"trace_id": "7" * 32, "event": "refused", "level": "warning", "service": "s", "path": "/y"})
    await reporting.reporter.report()
    (batch,) = reporting.taker.batches
    assert (batch.process, batch.services, batch.sequence) == ("s-1", ("s",), 1)
    assert [(red.route, red.statuses) for red in batch.reds] == [("GET /x", (0, 0, 1, 0, 0, 0))]
    assert [(one.span_id, one.parent_id, one.error) for one in batch.spans] == [("2" * 16, "1" * 16, True)]
    assert [(one.event, one.facts) for one in batch.logs] == [("refused", {"path": "/y"})]
    assert batch.usage == usage(2.0)


async def test_reports_wait_for_a_service_that_is_away_and_keep_their_numbers(reporting):
    for _ in range(3):
        reporting.metrics.red("server", "GET /x").record(0.002, 200)
        await reporting.reporter.report()
    reporting.taker.status = 503
    await reporting.upstream("telemetry", reporting.taker)
    await reporting.reporter.report()
    reporting.taker.status = 200
    await reporting.reporter.report()
    assert [batch.sequence for batch in reporting.taker.batches] == [1, 1, 2, 3, 4, 5]
    assert (
        sum(sum(red.statuses) for batch in reporting.taker.batches[1:] for red in batch.reds if red.route == "GET /x")
        == 3
    )


async def test_reports_that_nobody_takes_are_dropped_in_the_end(reporting):
    for _ in range(40):
        await reporting.reporter.report()
    await reporting.upstream("telemetry", reporting.taker)
    await reporting.reporter.report()
    assert [batch.sequence for batch in reporting.taker.batches] == list(range(27, 42))
    assert reporting.metrics.counter("kinema_reports_total", outcome="dropped").value == 26


async def test_a_report_that_is_refused_does_not_hold_up_the_others(reporting):
    await reporting.upstream("telemetry", reporting.taker)
    reporting.taker.status = 400
    await reporting.reporter.report()
    reporting.taker.status = 200
    await reporting.reporter.report()
    assert [batch.sequence for batch in reporting.taker.batches] == [1, 2]


async def test_reports_leave_no_spans_of_their_own(reporting):
    upstream = await reporting.upstream("telemetry", reporting.taker)
    await reporting.reporter.start()
    await until(lambda: len(reporting.taker.batches) >= 1)
    await reporting.reporter.close()
    sent = [tracing.parse(one.headers.get(tracing.TRACEPARENT)) for one in upstream.seen if one.method == "POST"]
    assert {one.sampled for one in sent} == {False}
    assert {one.headers.get(b"x-kinema-priority") for one in upstream.seen if one.method == "POST"} == {b"bulk"}
    assert reporting.rpc.spans.take() == []


async def test_a_process_reports_its_usage():
    metrics = Metrics("s")
    metrics.gauge("kinema_pool_in_use", lambda: 3.0, pool="http")
    metrics.gauge("kinema_pool_limit", lambda: 64.0, pool="http")
    meter = UsageMeter(metrics)
    try:
        found = meter.report(2.0)
    finally:
        meter.close()
    assert found.memory_bytes > 1 << 20
    assert [(pool.name, pool.in_use, pool.limit) for pool in found.pools] == [("http", 3.0, 64.0)]


def test_lines_of_a_trace_are_kept_and_others_are_not(capsys):
    import logging

    import structlog

    lines = TraceLines(ManualClock(5.0))
    configure(json=True)
    keep(lines)
    try:
        get_logger("x").warning("nobody asked")
        with structlog.contextvars.bound_contextvars(trace_id="7" * 32, service="catalog"):
            bind(instance="catalog-1")
            get_logger("x").warning("it broke", path="/v1/x")
    finally:
        keep(lambda event: None)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers.clear()
    (line,) = lines.take()
    assert (line.trace_id, line.service, line.instance, line.event, line.at) == (
        "7" * 32,
        "catalog",
        "catalog-1",
        "it broke",
        5.0,
    )
    assert line.facts["path"] == "/v1/x"
