"""What edge, worker, storage and resilience record."""

import asyncio

import pytest
import sqlalchemy as sa

from kinema.core import spans as tracing
from kinema.core.clock import ManualClock, SystemClock
from kinema.core.errors import NotFound
from kinema.core.metrics import Metrics
from kinema.core.priority import Priority
from kinema.core.spans import SpanContext, Spans
from kinema.model.balance import BalancerState, InstanceState
from kinema.model.telemetry import Breaker, Ejection, Limit, Shed
from kinema.observe.resilience import ResilienceMeter
from kinema.resilience.shedding import Shedder
from kinema.services.edge.observing import EdgeRecords
from kinema.services.edge.status import EdgeStatus
from kinema.services.encoding.observing import StepRecords
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.measured import MeasuredSql, measured_blobs
from kinema.storage.ports import LocalFiles, local_path
from kinema.storage.sql_sqlite import SqliteSql

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def counted(metrics):
    return {(red.key.kind, red.key.route, red.key.peer): red.statuses for red in metrics.reds() if any(red.statuses)}


def values(metrics):
    return {(one.name, *one.labels): one.value for one in metrics.samples()}


# -- storage -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def observed():
    clock = SystemClock()
    token = tracing.current.set(SpanContext(TRACE, SPAN, "catalog", "catalog-1"))
    yield Metrics("cell"), Spans(clock, "cell", "cell-1")
    tracing.current.reset(token)


async def test_transactions_are_counted_and_are_spans_of_their_request(tmp_path, observed):
    metrics, spans = observed
    sql = MeasuredSql(SqliteSql(tmp_path / "x.db"), metrics, spans, "catalog")
    async with sql.transaction() as connection:
        await connection.execute(sa.text("CREATE TABLE things (name TEXT PRIMARY KEY)"))
    for _ in range(2):
        async with sql.read() as connection:
            await connection.execute(sa.text("SELECT * FROM things"))
    with pytest.raises(sa.exc.OperationalError):
        async with sql.read() as connection:
            await connection.execute(sa.text("SELECT * FROM nothing"))
    await sql.close()
    assert counted(metrics) == {
        ("storage", "sql write", "sql"): [0, 0, 1, 0, 0, 0],
        ("storage", "sql read", "sql"): [0, 0, 2, 0, 0, 1],
    }
    assert [(one[2], one[3], one[5], one[9]) for one in spans.take()] == [
        (SPAN, "sql write", "catalog", 200),
        (SPAN, "sql read", "catalog", 200),
        (SPAN, "sql read", "catalog", 200),
        (SPAN, "sql read", "catalog", 500),
    ]


async def test_blobs_are_counted_and_still_lie_in_files(tmp_path, observed):
    metrics, spans = observed
    blobs = measured_blobs(FileBlobs(tmp_path), metrics, spans, "catalog")
    await blobs.put("media/one", b"film")
    assert b"".join([chunk async for chunk in blobs.get("media/one", 1)]) == b"ilm"
    assert await blobs.size("media/one") == 4
    with pytest.raises(NotFound):
        await blobs.size("media/two")
    with pytest.raises(NotFound):
        [chunk async for chunk in blobs.get("media/two")]
    assert isinstance(blobs, LocalFiles)
    assert local_path(blobs, "media/one").read_bytes() == b"film"
    assert [one.key async for one in blobs.list("media")] == ["media/one"]
    assert counted(metrics) == {
        ("storage", "blobs put", "blobs"): [0, 0, 1, 0, 0, 0],
        ("storage", "blobs get", "blobs"): [0, 0, 1, 0, 1, 0],
        ("storage", "blobs size", "blobs"): [0, 0, 1, 0, 1, 0],
    }


async def test_a_reader_that_stops_early_is_no_error(tmp_path, observed):
    metrics, spans = observed
    blobs = measured_blobs(FileBlobs(tmp_path), metrics, spans, "catalog")
    await blobs.put("media/one", b"x" * (3 << 20))
    chunks = blobs.get("media/one")
    await anext(chunks)
    await chunks.aclose()
    assert counted(metrics)["storage", "blobs get", "blobs"] == [0, 0, 1, 0, 0, 0]


# -- edge ----------------------------------------------------------------------------------------------------------------


def test_hits_are_counted_when_somebody_looks():
    metrics, status = Metrics("edge"), EdgeStatus(bytes_limit=1000)
    records = EdgeRecords(metrics, status)
    status.hits, status.bytes_sent, status.misses = 5, 100, 1
    records.waited(0.2, 200)
    records.waited(10.0, 502)
    assert counted(metrics) == {("edge", "hit", ""): [0, 0, 5, 0, 0, 0], ("edge", "miss", "blobs"): [0, 0, 1, 0, 0, 1]}
    status.hits = 7
    assert counted(metrics)["edge", "hit", ""] == [0, 0, 7, 0, 0, 0]
    found = values(metrics)
    assert found["kinema_edge_answers_total", "hit"] == 7
    assert found["kinema_edge_sent_bytes_total",] == 100
    assert found["kinema_edge_cache_bytes", "limit"] == 1000


# -- worker --------------------------------------------------------------------------------------------------------------


async def in_a_task(work):
    await asyncio.create_task(work)


async def test_a_job_is_a_span_of_its_uploads_trace_and_steps_lie_below_it():
    metrics, spans = Metrics("worker"), Spans(SystemClock(), "worker", "worker-1")
    records = StepRecords(metrics, spans, "worker-1")

    async def work():
        job = records.job(f"00-{TRACE}-{SPAN}-01")
        with records.step("rung"), records.step("encode"):
            pass
        with pytest.raises(NotFound), records.step("publish"):
            raise NotFound("The title was withdrawn.")
        job.ended("job_1", failed=True)

    await in_a_task(work())
    encode, rung, publish, job = spans.take()
    assert {one[0] for one in (encode, rung, publish, job)} == {TRACE}
    assert (job[2], rung[2], encode[2], publish[2]) == (SPAN, job[1], rung[1], job[1])
    assert [(one[3], one[4], one[9]) for one in (encode, rung, publish, job)] == [
        ("encode", "internal", 200),
        ("rung", "internal", 200),
        ("publish", "internal", 500),
        ("job", "consumer", 500),
    ]
    assert counted(metrics)["step", "publish", ""] == [0, 0, 0, 0, 0, 1]
    assert tracing.current.get() is None


@pytest.mark.parametrize(("trace", "recorded"), [(None, 2), ("nonsense", 2), (f"00-{TRACE}-{SPAN}-00", 0)])
async def test_a_job_without_a_trace_gets_one_and_one_that_is_not_sampled_leaves_nothing(trace, recorded):
    spans = Spans(SystemClock(), "worker", "worker-1")
    records = StepRecords(Metrics("worker"), spans, "worker-1")

    async def work():
        job = records.job(trace)
        with records.step("encode"):
            pass
        job.ended("job_1", failed=False)

    await in_a_task(work())
    assert len(spans.take()) == recorded


# -- resilience ----------------------------------------------------------------------------------------------------------


def instance(number, **facts):
    base = {
        "service": "catalog",
        "instance": f"catalog-{number}",
        "address": f"127.0.0.1:{number}",
        "zone": "a",
        "in_flight": 2,
        "penalty": 1.0,
        "weight": 1.0,
        "failure_rate": 0.0,
        "latency": None,
        "utilisation": 0.0,
        "ejected_seconds": 0.0,
        "ejections": 0,
        "avoided_seconds": 0.0,
        "breaker": "closed",
        "breaker_calls": 0,
        "breaker_failures": 0,
        "breaker_slow": 0,
        "limit": 20,
    }
    return InstanceState(**(base | facts))


def test_what_protects_calls_is_told_as_it_is():
    state = BalancerState(
        (
            instance(1),
            instance(2, breaker="open", breaker_calls=20, breaker_failures=15, breaker_slow=5, ejected_seconds=30.0),
            instance(3, avoided_seconds=1.5),
        )
    )
    metrics = Metrics("gateway")
    meter = ResilienceMeter(lambda: state, metrics, ManualClock(1000.0))
    shedder = Shedder()
    meter.add_shedder("gateway", lambda: shedder.snapshot(3, 10, 0.0))
    shedder.admits(Priority.CRITICAL, 0.1)
    shedder.admits(Priority.BULK, 5.0)
    report = meter.report()
    assert report.breakers[1] == Breaker("catalog", "catalog-2", "open", 0.75, 0.25, 20)
    assert report.limits[0] == Limit("catalog", "catalog-1", 20, 2)
    assert report.ejections == (
        Ejection("catalog", "catalog-2", "outlier", 1030.0),
        Ejection("catalog", "catalog-3", "refused a connection", 1001.5),
    )
    assert Shed("gateway", "critical", 1, 0) in report.shed
    assert Shed("gateway", "bulk", 0, 1) in report.shed
    found = values(metrics)
    assert found["kinema_breakers", "catalog", "open"] == 1
    assert found["kinema_concurrency_limit", "catalog"] == 60
    assert found["kinema_ejected_instances", "catalog"] == 1
    assert found["kinema_admissions_total", "gateway", "bulk", "shed"] == 1
