"""What the gateway records: the request and each attempt at a service, with the right parents, and RED of both."""

import pytest

from kinema.core import spans as tracing
from kinema.services.gateway.config import GatewayConfig, Rate, RateLimits
from kinema.services.gateway.routes import Route
from tests.support.fabric import bearer, fabric, until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PATH = "/v1/manifests/token/ast_1/1/hls.m3u8"


def answer(exchange):
    exchange.reply(200, ((b"content-type", b"text/plain"),), b"text")


@pytest.fixture
async def region(tmp_path):
    async with fabric(tmp_path, gateway=True) as one:
        one.spans = one.rpc.spans
        yield one


def reds(region, kind):
    counted = [red for red in region.rpc.metrics.reds() if red.key.kind == kind and any(red.statuses)]
    return {(red.key.route, red.key.peer): red.statuses for red in counted}


def by_kind(spans):
    return sorted(spans, key=lambda one: (one[4], one[7]))


def sent(upstream):
    return [tracing.parse(one.headers.get(b"traceparent")) for one in upstream.seen if one.path != "/healthz"]


async def test_a_request_and_its_attempt_are_two_spans(region):
    playback = await region.upstream("playback", answer)
    reply = await region.get(PATH)
    call, request = by_kind(region.spans.take())
    (parent,) = sent(playback)
    assert reply.headers.get(b"x-request-id").decode() == request[0] == call[0] == parent.trace_id
    assert (request[2], call[2], parent.span_id, parent.sampled) == ("", request[1], call[1], True)
    assert (request[3:7], request[9]) == (("GET /v1/manifests", "server", "gateway", "gateway"), 200)
    assert call[10] == {"peer.service": "playback", "server.address": playback.address}
    assert request[8] >= call[8] > 0
    assert reds(region, "gateway") == {("/v1/manifests", ""): [0, 0, 1, 0, 0, 0]}
    assert reds(region, "client") == {("/v1/manifests", "playback"): [0, 0, 1, 0, 0, 0]}


async def test_a_clients_trace_goes_on(region):
    playback = await region.upstream("playback", answer)
    await region.get(
        PATH, (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode()), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")
    )
    call, request = by_kind(region.spans.take())
    assert (request[0], request[2], call[2]) == (TRACE, SPAN, request[1])
    assert playback.seen[-1].headers.get(b"tracestate") == b"a=1,b=2"


async def test_a_client_that_does_not_want_to_be_sampled_is_counted_only(region):
    playback = await region.upstream("playback", answer)
    await region.get(PATH, (b"traceparent", f"00-{TRACE}-{SPAN}-00".encode()))
    assert region.spans.take() == []
    assert [(one.trace_id, one.sampled) for one in sent(playback)] == [(TRACE, False)]
    assert reds(region, "gateway") == {("/v1/manifests", ""): [0, 0, 1, 0, 0, 0]}


async def test_two_traceparents_are_none(region):
    await region.upstream("playback", answer)
    both = [(b"traceparent", f"00-{TRACE}-{SPAN}-0{n}".encode()) for n in (0, 1)]
    reply = await region.get(PATH, *both)
    assert reply.headers.get(b"x-request-id").decode() != TRACE


async def test_each_attempt_is_a_span_of_its_own(region):
    broken = await region.upstream("playback", lambda exchange: exchange.reply(503, (), b""), number=1)
    works = await region.upstream("playback", answer, number=2)

    while not sent(broken):  # until the first choice falls on it
        region.spans.take()
        assert (await region.get(PATH)).status == 200
    *calls, request = by_kind(region.spans.take())
    assert [one[9] for one in calls] == [503, 200]
    assert {one[2] for one in calls} == {request[1]}
    assert [sent(broken)[-1].span_id, sent(works)[-1].span_id] == [one[1] for one in calls]
    retries = region.rpc.metrics.counter("kinema_retries_total", service="gateway", peer="playback")
    assert retries.value == 1


async def test_no_instance_is_a_request_without_an_attempt(region):
    reply = await region.get(PATH)
    (request,) = region.spans.take()
    assert reply.status == request[9] == 503
    assert reds(region, "client") == {}


async def test_a_client_that_leaves_is_counted_as_nobody_s_error(region):
    held = []
    playback = await region.upstream("playback", held.append)
    call = region.caller.send(region.origin, "GET", PATH, (), Ignoring())
    await until(lambda: len(held) == 1)
    call.cancel()
    await until(lambda: sum(reds(region, "client").get(("/v1/manifests", "playback"), [])) == 1)
    assert reds(region, "gateway")["/v1/manifests", ""] == [1, 0, 0, 0, 0, 0]
    assert reds(region, "client")["/v1/manifests", "playback"] == [1, 0, 0, 0, 0, 0]
    assert playback is not None


class Ignoring:
    def on_head(self, status, headers):
        pass

    def on_data(self, chunk):
        pass

    def on_end(self):
        pass

    def on_error(self, error):
        pass


async def test_what_the_gateway_asks_for_a_request_belongs_to_its_trace(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        await region.upstream("catalog", answer)
        reply = await region.get("/v1/titles/ttl_1", bearer(await region.token()))
        assert reply.status == 200
        calls = [one for one in region.rpc.spans.take() if one[4] == "client"]
        request_id = reply.headers.get(b"x-request-id").decode()
        assert {one[0] for one in calls} == {request_id}
        assert {one[10]["peer.service"] for one in calls} == {"members", "catalog"}


async def test_a_refused_request_has_an_id_and_a_span(tmp_path):
    config = GatewayConfig(rate_limit=RateLimits(address=Rate(per_second=0.001, burst=1)))
    async with fabric(tmp_path, gateway=True, config=config) as region:
        replies = [await region.get("/v1/titles/ttl_1") for _ in range(2)]
        spans = region.rpc.spans.take()
    assert [one.status for one in replies] == [one[9] for one in spans] == [401, 429]
    assert [one.headers.get(b"x-request-id").decode() for one in replies] == [one[0] for one in spans]


async def test_questions_about_health_are_not_counted(region):
    reply = await region.get("/healthz")
    assert reply.status == 503  # there is nobody behind this gateway
    assert reds(region, "gateway") == {}
    assert region.spans.take() == []


async def test_routes_that_an_operator_adds_are_counted_by_prefix(tmp_path):
    async with fabric(tmp_path, gateway=True, routes=(Route(prefix="/v1/own", service="own"),)) as region:
        for path in ("/v1/own/1", "/v1/own/2", "/v1/none", "/anything", "/else"):
            await region.get(path)
        counted = {route: sum(statuses) for (route, _), statuses in reds(region, "gateway").items()}
        assert counted == {"/v1/own": 2, "/v1": 1, "pages": 2}
