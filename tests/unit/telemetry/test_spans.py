import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import get
from litestar.params import FromPath

from kinema.core import spans as tracing
from kinema.core.clock import ManualClock
from kinema.core.errors import NotFound
from kinema.core.metrics import Metrics
from kinema.core.spans import SpanContext, Spans
from kinema.model.discovery import Instance
from kinema.rpc.client import Rpc
from kinema.rpc.observed import observed
from kinema.rpc.service import AnyRequest, create_app
from kinema.rpc.templates import route_of
from tests.support.fabric import RunningApp, fabric

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_a_valid_header_is_understood(header, sampled):
    found = tracing.parse(header.encode(), b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    assert (found.trace_id, found.span_id, found.sampled) == (TRACE, SPAN, sampled)
    assert found.state == b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header",
    [
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        "",
    ],
)
def test_a_broken_header_is_ignored(header):
    assert tracing.parse(header.encode()) is None


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_header_can_be_read(traceparent, tracestate):
    tracing.parse(traceparent, tracestate)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/titles/ttl_01hzz3", "GET /v1/titles/{id}"),
        ("/v1/titles/ttl_01hzz3/publication?x=1", "GET /v1/titles/{id}/publication"),
        ("/v1/catalog/version", "GET /v1/catalog/version"),
        ("/healthz", "GET /healthz"),
    ],
)
def test_calls_are_counted_by_template(path, route):
    assert route_of("GET", path) == route


def test_a_span_starts_at_the_time_of_the_wall_clock():
    clock = ManualClock(1000.0)
    spans = Spans(clock, "worker", "worker-1")
    began = spans.now()
    clock.advance(2.5)
    spans.record(SpanContext(TRACE, SPAN, "worker", "worker-1"), "1" * 16, "chunk", "internal", began)
    assert spans.take() == [
        (TRACE, "1" * 16, SPAN, "chunk", "internal", "worker", "worker-1", 1000.0, 2.5, 0, None),
    ]
    assert spans.take() == []


def test_the_ring_keeps_the_newest():
    spans = Spans(ManualClock(), "worker", "worker-1", most=3)
    for number in range(5):
        spans.record(SpanContext(TRACE, SPAN, "w", "w-1"), f"{number:016x}", "chunk", "internal", 0.0)
    assert [int(one[1], 16) for one in spans.take()] == [2, 3, 4]
    assert spans.overruns == 1


def test_a_trace_that_is_not_sampled_leaves_nothing():
    spans = Spans(ManualClock(), "worker", "worker-1")
    spans.record(SpanContext(TRACE, SPAN, "w", "w-1", sampled=False), "1" * 16, "chunk", "internal", 0.0)
    assert spans.take() == []


class Chain:
    """Two services, of which one calls the other, as processes of their own would run them."""

    def __init__(self, one):
        self.fabric = one
        self.running = []
        self.metrics = {name: Metrics(name) for name in ("front", "back")}
        self.spans = {name: Spans(one.clock, name, f"{name}-1") for name in ("front", "back")}

    async def start(self):
        one = self.fabric
        rpc = Rpc(one.directory, one.client, one.keys, one.clock, "front-1", self.metrics["front"], self.spans["front"])
        self.states = []

        @get("/v1/things/{thing_id:str}")
        async def front(thing_id: FromPath[str]) -> int:
            await asyncio.gather(*(rpc.request("back", "GET", f"/v1/parts/{thing_id}{n}") for n in (1, 2)))
            return 1

        @get("/v1/parts/{part_id:str}", opt={"public": True})
        async def back(part_id: FromPath[str], request: AnyRequest) -> int:
            self.states.append(request.headers.get("tracestate"))
            if part_id.endswith("2"):
                raise NotFound("There is no such part.")
            return 2

        for name, handler in (("front", front), ("back", back)):
            app = create_app(service=name, instance=f"{name}-1", keys=one.keys, clock=one.clock, routes=[handler])
            seen = observed(app, name, f"{name}-1", self.metrics[name], self.spans[name])
            running = RunningApp(seen)
            registration = one.registration(Instance(name, f"{name}-1", running.address, "home", "a", "0"))
            await registration.start()
            self.running.append((running, registration))
            await one.directory.wait_for(name, 10)

    async def close(self):
        for running, registration in self.running:
            await registration.close()
            await running.stop()


@pytest.fixture
async def chain(tmp_path):
    async with fabric(tmp_path) as one:
        made = Chain(one)
        await made.start()
        yield made
        await made.close()


async def ask(chain, *headers):
    return await chain.fabric.rpc.request("front", "GET", "/v1/things/thing", headers=headers)


async def test_the_parents_of_spans_lead_from_call_to_call(chain):
    token = tracing.current.set(SpanContext(TRACE, SPAN, "test", "test-1", state=b"vendor=1"))
    try:
        answer = await ask(chain)
    finally:
        tracing.current.reset(token)
    assert answer.status == 200
    (call,) = chain.fabric.rpc.spans.take()
    *calls, front = sorted(chain.spans["front"].take(), key=lambda span: span[4])
    backs = chain.spans["back"].take()
    assert {span[0] for span in (call, front, *calls, *backs)} == {TRACE}
    assert (call[2], front[2]) == (SPAN, call[1])
    assert {span[2] for span in calls} == {front[1]}
    assert {span[2] for span in backs} == {span[1] for span in calls}
    assert sorted((span[3], span[9]) for span in calls) == [("GET /v1/parts/{id}", 200), ("GET /v1/parts/{id}", 404)]
    assert {(span[3], span[9]) for span in backs} == {
        ("GET /v1/parts/{part_id}", 200),
        ("GET /v1/parts/{part_id}", 404),
    }
    assert (front[3], front[4], front[5], front[6]) == ("GET /v1/things/{thing_id}", "server", "front", "front-1")
    assert chain.states == ["vendor=1", "vendor=1"]


async def test_what_is_not_sampled_is_counted_and_not_recorded(chain):
    token = tracing.current.set(SpanContext(TRACE, SPAN, "test", "test-1", sampled=False))
    try:
        await ask(chain)
    finally:
        tracing.current.reset(token)
    assert [chain.spans[name].take() for name in ("front", "back")] == [[], []]
    (red,) = chain.metrics["back"].reds()
    assert red.statuses == [0, 0, 1, 0, 1, 0]
    assert [one for one in red.exemplars if one] == []


async def test_calls_are_counted_by_caller_and_called(chain):
    await ask(chain)
    keys = {(red.key.kind, red.key.service, red.key.route, red.key.peer) for red in chain.metrics["front"].reds()}
    assert keys == {
        ("server", "front", "GET /v1/things/{thing_id}", ""),
        ("client", "front", "GET /v1/parts/{id}", "back"),
    }


async def test_what_matches_no_route_is_counted_as_such(chain):
    front = chain.running[0][0]
    answer = await chain.fabric.caller.fetch(front.address, "GET", "/v1/nothing/here")
    assert answer.status == 404
    assert [red.key.route for red in chain.metrics["front"].reds()] == ["GET unmatched"]


async def test_a_method_that_nobody_knows_does_not_become_a_label(chain):
    front = chain.running[0][0]
    for method in ("LOCK", "PROPFIND", "MKCOL"):
        await chain.fabric.caller.fetch(front.address, method, "/v1/nothing")
    routes = {red.key.route for red in chain.metrics["front"].reds()}
    assert routes == {"OTHER unmatched"}


async def test_an_instance_that_is_gone_counts_as_an_error_of_the_call(chain):
    running, _ = chain.running[1]
    await running.stop()
    running.socket.close()
    await ask(chain)
    (red,) = [red for red in chain.metrics["front"].reds() if red.key.kind == "client"]
    assert red.statuses[:5] == [0, 0, 0, 0, 0]
    assert red.statuses[5] >= 2  # each may have been tried again


def test_new_ids_have_the_form_of_the_standard():
    assert re.fullmatch("[0-9a-f]{32}", tracing.new_trace_id())
    assert re.fullmatch("[0-9a-f]{16}", tracing.new_span_id())
