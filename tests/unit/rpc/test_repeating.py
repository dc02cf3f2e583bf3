"""Calls over several hops, real servers each: time and retries shrink on the way down, failures are not multiplied on the way up."""

import asyncio
import itertools
import time
from types import SimpleNamespace

import msgspec
import pytest
from litestar import get, post

from kinema.core import faults
from kinema.core.clock import SystemClock
from kinema.core.errors import BadInput, DeadlineExceeded, NotFound, Unavailable
from kinema.core.faults import Fault
from kinema.core.metrics import Metrics
from kinema.core.problem import encode, problem_of
from kinema.core.spans import Spans
from kinema.http import ConnectFailed, Headers, Response, TimedOut
from kinema.model.discovery import Instance
from kinema.resilience import Deadline
from kinema.resilience.errors import CircuitOpen
from kinema.rpc.attempt import Outgoing
from kinema.rpc.balance import Balancer
from kinema.rpc.budgets import Budgets
from kinema.rpc.repeating import Repeating
from kinema.rpc.serving import serving
from tests.support.fabric import fabric, until


class Answer(msgspec.Struct, frozen=True):
    value: int


def replies(status, *headers, body=b'{"value": 1}'):
    return lambda exchange: exchange.reply(status, headers, body)


def chain(region, *names):
    """Return the handlers of services that each call the next one at /next."""

    def handler(target):
        @get("/next", opt={"public": True})
        async def ask() -> Answer:
            return await region.rpc.call(target, "GET", "/next", type=Answer, deadline_seconds=10.0)

        return ask

    return [(name, handler(target)) for name, target in itertools.pairwise(names)]


async def test_each_hop_has_less_time_than_the_one_above(tmp_path):
    async with fabric(tmp_path) as region:
        last = await region.upstream("c", replies(200))
        for name, handler in chain(region, "a", "b", "c"):
            await region.service(name, handler)
        assert await region.rpc.call("a", "GET", "/next", type=Answer, deadline_seconds=2.0) == Answer(1)
        [seen] = last.seen
        left, retries = seen.headers.get(b"x-kinema-deadline").split(b";")
        assert 0 < int(left) < 2000
        assert retries == b"retries=3"


async def test_a_failure_is_retried_by_the_hop_next_to_it_and_by_nobody_else(tmp_path):
    async with fabric(tmp_path) as region:
        last = await region.upstream("c", replies(500, body=b"{}"))
        services = {name: await region.service(name, handler) for name, handler in chain(region, "a", "b", "c")}
        answer = await region.rpc.request("a", "GET", "/next")
        assert (answer.status, answer.headers.get(b"x-kinema-retried")) == (500, b"1")
        assert len(last.seen) == 3
        assert [running.app.state.shedder.snapshot().admitted["degraded"] for running in services.values()] == [1, 1]


async def test_a_request_that_was_granted_no_retries_makes_none(tmp_path):
    async with fabric(tmp_path) as region:
        last = await region.upstream("b", replies(503, body=b"{}"))
        [(name, handler)] = chain(region, "a", "b")
        await region.service(name, handler)
        [one] = region.directory.instances("a")
        none = (b"x-kinema-deadline", b"5000;retries=0")
        assert (await region.client.fetch(one.address, "GET", "/next", (none,))).status == 503
        assert len(last.seen) == 1
        assert last.seen[0].headers.get(b"x-kinema-deadline").endswith(b";retries=0")


async def test_work_that_goes_on_after_the_answer_has_its_own_time(tmp_path):
    async with fabric(tmp_path) as region:
        await region.upstream("b", replies(200))
        later = asyncio.Event()
        found = []

        async def go_on():
            await later.wait()
            found.append(serving())
            found.append(await region.rpc.call("b", "GET", "/x", type=Answer))

        @get("/begin", opt={"public": True})
        async def begin() -> None:
            found.append(serving() is not None)
            region.task = asyncio.create_task(go_on())

        await region.service("a", begin)
        await region.rpc.call("a", "GET", "/begin", deadline_seconds=0.5)
        await asyncio.sleep(0.6)
        later.set()
        await region.task
        assert found == [True, None, Answer(1)]


async def test_a_call_without_time_is_not_made(tmp_path):
    async with fabric(tmp_path) as region:
        service = await region.upstream("b", replies(200))
        with pytest.raises(DeadlineExceeded):
            await region.rpc.call("b", "GET", "/x", deadline_seconds=0.0)
        assert service.seen == []


@pytest.mark.parametrize(
    ("method", "answer", "headers", "sent"),
    [
        ("GET", (503,), (), 3),
        ("GET", (500,), (), 3),
        ("GET", (502,), (), 1),
        ("GET", (404,), (), 1),
        ("GET", (500, (b"x-kinema-retried", b"1")), (), 1),
        ("POST", (500,), (), 1),
        ("POST", (503,), (), 1),
        ("POST", (503, (b"x-kinema-shed", b"1")), (), 3),
        ("POST", (500,), ((b"idempotency-key", b"k"),), 3),
    ],
)
async def test_what_is_sent_again(tmp_path, method, answer, headers, sent):
    async with fabric(tmp_path) as region:
        services = [await region.upstream("s", replies(*answer), number) for number in (1, 2)]
        found = await region.rpc.request("s", method, "/x", b"{}" if method == "POST" else b"", headers=headers)
        assert found.status == answer[0]
        assert sum(len(one.seen) for one in services) == sent
        assert region.rpc.balancer.in_flight == 0


async def test_retry_after_is_kept_to_when_nobody_else_can_be_asked(tmp_path):
    async with fabric(tmp_path) as region:
        answers = [replies(503, (b"retry-after", b"1")), replies(200)]

        def one_after_the_other(exchange):
            answers.pop(0)(exchange)

        await region.upstream("s", one_after_the_other)
        began = time.monotonic()
        assert await region.rpc.call("s", "GET", "/x", type=Answer) == Answer(1)
        assert time.monotonic() - began >= 1.0
        answers[:] = [replies(503, (b"retry-after", b"30"), body=encode(problem_of(Unavailable("later"))))]
        with pytest.raises(Unavailable, match="later"):
            await region.rpc.call("s", "GET", "/x", type=Answer)


async def test_an_instance_that_hangs_leaves_time_for_another(tmp_path):
    async with fabric(tmp_path) as region:
        hanging = [await region.upstream("s", lambda exchange: None, number) for number in (1, 2)]
        began = time.monotonic()
        for one in hanging:
            one.handler = lambda exchange: (
                None if len(hanging[0].seen) + len(hanging[1].seen) == 1 else replies(200)(exchange)
            )
        assert await region.rpc.call("s", "GET", "/x", type=Answer, deadline_seconds=2.0) == Answer(1)
        assert time.monotonic() - began > 1.0


async def test_a_late_call_is_sent_a_second_time_when_its_maker_wants_that(tmp_path):
    async with fabric(tmp_path) as region:
        slow = set()

        def handler(name):
            return lambda exchange: None if name in slow else replies(200)(exchange)

        services = [await region.upstream("s", handler(number), number) for number in (1, 2)]
        for _ in range(110):
            await region.rpc.call("s", "GET", "/x", type=Answer, hedge=True)
        before = sum(len(one.seen) for one in services)
        slow.add(1)
        for _ in range(20):  # some of them begin at the slow one
            assert await region.rpc.call("s", "GET", "/x", type=Answer, hedge=True, deadline_seconds=30) == Answer(1)
        assert sum(len(one.seen) for one in services) > before + 20
        await until(lambda: region.rpc.balancer.in_flight == 0)


class Together:
    """Attempts at once, until `apart` is set: then two attempts end in the same turn of the loop, one of them badly."""

    def __init__(self):
        self.apart = None
        self.made = 0

    async def make(self, instance, call, seconds, retries):
        self.made += 1
        first = self.made % 2
        if self.apart is not None:
            if not first:
                asyncio.get_running_loop().call_soon(self.apart.set)
            await self.apart.wait()
            if first:
                raise ConnectFailed("gone")
        return Response(200, Headers(()), b"")


async def test_of_two_copies_that_end_in_the_same_moment_the_good_one_counts():
    clock, attempts = SystemClock(), Together()
    two = tuple(Instance("s", f"s-{number}", f"127.0.0.1:{number}", "home", "a", "0", {}) for number in (1, 2))
    known = SimpleNamespace(instances=lambda service: two)
    balancer = Balancer(known, clock)
    repeating = Repeating(attempts, balancer, Budgets(clock), clock, Metrics("test"), Spans(clock, "test", "test"))
    call = Outgoing("s", "GET", "/x", ())
    for _ in range(110):
        await repeating.send(call, Deadline(clock, 5.0), hedge=True)
    for _ in range(30):
        attempts.apart, attempts.made = asyncio.Event(), 0
        assert (await repeating.send(call, Deadline(clock, 5.0), hedge=True)).status == 200
        assert attempts.made == 2  # the failure was not what counted, so nothing was repeated


async def test_a_fallback_stands_in_and_its_reason_is_counted(tmp_path):
    async with fabric(tmp_path) as region:
        await region.upstream("s", replies(404, body=encode(problem_of(NotFound("not there")))))
        reasons = []

        def fallback(error):
            reasons.append(type(error))
            return Answer(0)

        with pytest.raises(NotFound):
            await region.rpc.call("s", "GET", "/x", type=Answer, fallback=fallback)
        found = await region.rpc.call("gone", "GET", "/x", type=Answer, fallback=fallback, deadline_seconds=0.2)
        assert (found, reasons) == (Answer(0), [Unavailable])
        counted = {
            one.labels: one.value for one in region.rpc.metrics.samples() if one.name == "kinema_fallbacks_total"
        }
        assert counted == {("test-1", "gone", "unavailable"): 1.0}


async def test_a_breaker_that_is_open_fails_the_call_at_once(tmp_path):
    async with fabric(tmp_path) as region:
        service = await region.upstream("s", replies(500, body=b"{}"))
        for _ in range(25):
            try:
                await region.rpc.request("s", "POST", "/x")
            except CircuitOpen:
                break
        else:
            pytest.fail("the breaker did not open")
        assert len(service.seen) == 20
        with pytest.raises(CircuitOpen) as caught:
            await region.rpc.request("s", "GET", "/x")
        assert 0 < caught.value.retry_after <= 5
        assert len(service.seen) == 20


async def test_faults_are_felt_at_each_attempt_and_travel_on(tmp_path):
    async with fabric(tmp_path) as region:
        first = await region.upstream("s", replies(200), 1)
        await region.upstream("s", replies(200), 2)

        async def call(*faults_, **options):
            sealed = faults.seal(faults_, region.keys, region.clock.now())
            faults.current.set(faults.unseal(sealed, region.keys, region.clock.now()))
            return await region.rpc.request("s", options.pop("method", "GET"), "/x", **options)

        async def task(*faults_, **options):
            return await asyncio.create_task(call(*faults_, **options))

        for _ in range(3):
            assert (await task(Fault("rpc/s/s-1/*", failure="connect"))).status == 200
        assert first.seen == []
        with pytest.raises(ConnectFailed):
            await task(Fault("rpc/s/*", failure="connect"), method="POST")
        assert (await task(Fault("rpc/s/*", status=418))).status == 418
        with pytest.raises(TimedOut):
            await task(Fault("rpc/s/*", delay=5.0), deadline_seconds=0.3)
        began = time.monotonic()
        assert (await task(Fault("rpc/s/*", delay=0.2), Fault("rpc/t/*", status=500))).status == 200
        assert time.monotonic() - began >= 0.2
        sealed = [exchange.headers.get(b"x-kinema-fault") for one in region.upstreams for exchange in one.seen]
        assert all(faults.unseal(one.decode(), region.keys, region.clock.now()) for one in sealed)
        assert (await region.rpc.request("s", "GET", "/x")).status == 200


async def test_a_service_hands_faults_on_only_when_the_region_sealed_them(tmp_path):
    async with fabric(tmp_path) as region:
        last = await region.upstream("b", replies(200))
        [(name, handler)] = chain(region, "a", "b")
        await region.service(name, handler)
        [one] = region.directory.instances("a")
        sealed = faults.seal((Fault("rpc/b/*", status=503),), region.keys, region.clock.now()).encode()
        forged = sealed[:-1] + (b"A" if sealed[-1:] != b"A" else b"B")
        assert (await region.client.fetch(one.address, "GET", "/next", ((b"x-kinema-fault", forged),))).status == 200
        assert last.seen[-1].headers.get(b"x-kinema-fault") is None
        answer = await region.client.fetch(one.address, "GET", "/next", ((b"x-kinema-fault", sealed),))
        assert (answer.status, len(last.seen)) == (503, 1)


async def test_a_service_says_of_its_own_failure_that_nobody_below_had_it(tmp_path):
    async with fabric(tmp_path) as region:

        @post("/own", opt={"public": True})
        async def own() -> None:
            raise Unavailable("not today", retry_after=7.5)

        @post("/bad", opt={"public": True})
        async def bad() -> None:
            try:
                await region.rpc.call("nobody", "GET", "/x", deadline_seconds=0.1)
            except Unavailable as error:
                raise BadInput("you asked for the impossible") from error

        await region.service("s", own, bad)
        answer = await region.rpc.request("s", "POST", "/own")
        assert (answer.status, answer.headers.get(b"retry-after")) == (503, b"8")
        assert answer.headers.get(b"x-kinema-retried") is None
        answer = await region.rpc.request("s", "POST", "/bad")
        assert (answer.status, answer.headers.get(b"x-kinema-retried")) == (400, None)
