"""One contract for rate limits in memory and in Redis, and what Redis adds: all processes share, and losing it is no outage."""

import asyncio
import logging
import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import SystemClock
from kinema.core.errors import BadInput
from kinema.resilience import Policy, RateLimited, RateLimiter, gcra
from kinema.resilience.rate_limit_redis import RedisRateLimiter, connect
from tests.support.servers import redis_server


@pytest.fixture(scope="module")
def server():
    with redis_server() as running:
        yield running


@pytest.fixture(params=["memory", "redis"])
async def make(request):
    """Makes limiters of one kind, each under a name of its own."""
    if request.param == "memory":
        yield lambda rate, burst: RateLimiter(SystemClock(), rate, burst)
        return
    client = connect(request.getfixturevalue("server").url, call_seconds=20)
    yield lambda rate, burst: RedisRateLimiter(client, SystemClock(), uuid.uuid4().hex, rate, burst)
    await client.aclose()


async def test_a_burst_passes_and_then_nothing_until_it_may(make):
    limiter = make(5.0, 3)
    verdicts = [await limiter.take("a") for _ in range(4)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0]
    assert 0.0 < verdicts[3].retry_after <= 0.2
    assert verdicts[2].reset_after == pytest.approx(0.6, abs=0.19)
    await asyncio.sleep(verdicts[3].retry_after)
    assert (await limiter.take("a")).allowed


async def test_keys_do_not_touch_each_other(make):
    limiter = make(0.001, 1)
    assert [(await limiter.take(key)).allowed for key in ("a", "b", "a", "ü\n{x}", "ü\n{x}")] == [
        True,
        True,
        False,
        True,
        False,
    ]


async def test_a_refusal_takes_nothing(make):
    limiter = make(0.001, 5)
    assert (await limiter.take("a", 3)).remaining == 2
    for _ in range(3):
        refused = await limiter.take("a", 3)
        assert (refused.allowed, refused.remaining) == (False, 2)
        assert refused.retry_after == pytest.approx(1000, rel=0.01)
    assert (await limiter.take("a", 2)).remaining == 0


async def test_what_costs_more_than_the_burst_never_passes(make):
    verdict = await make(1.0, 5).take("a", 6)
    assert (verdict.allowed, verdict.retry_after, verdict.remaining) == (False, math.inf, 5)


async def test_of_many_at_once_exactly_the_burst_passes(make):
    limiter = make(0.001, 37)
    verdicts = await asyncio.gather(*(limiter.take("a") for _ in range(200)))
    assert sum(verdict.allowed for verdict in verdicts) == 37


@pytest.mark.parametrize("rate", [0.001, 100_000.0])
async def test_slow_and_fast_rates(make, rate):
    limiter = make(rate, 1000)
    assert [(await limiter.take("a", 1000)).allowed, (await limiter.take("b")).remaining] == [True, 999]


async def test_keys_and_costs_are_bounded(make):
    limiter = make(1.0, 5)
    for key, cost in (("k" * 513, 1), ("k", 0), ("k", -1)):
        with pytest.raises(BadInput, match="at most 512"):
            await limiter.take(key, cost)
    assert (await limiter.take("k" * 512)).allowed


@given(burst=st.integers(1, 30), costs=st.lists(st.integers(1, 8), max_size=40))
async def test_the_script_says_what_the_function_says(server, burst, costs):
    """At a rate so low that the time between calls is nothing."""
    client = connect(server.url, call_seconds=20)
    limiter = RedisRateLimiter(client, SystemClock(), uuid.uuid4().hex, 1e-6, burst)
    arrival = 0.0
    for cost in costs:
        ours = gcra(arrival, 1e9, 1e-6, burst, cost)
        arrival = ours.arrival
        there = await limiter.take("a", cost)
        assert (there.allowed, there.remaining) == (ours.allowed, ours.remaining)
        assert there.retry_after == pytest.approx(ours.retry_after, abs=30)
    await client.aclose()


async def test_processes_share_and_the_key_is_forgotten_when_the_burst_is_whole(server):
    one, other = connect(server.url, 20), connect(server.url, 20)
    name = uuid.uuid4().hex
    limiters = [RedisRateLimiter(client, SystemClock(), name, 10.0, 4) for client in (one, other)]
    passed = [(await limiters[turn % 2].take("a")).allowed for turn in range(5)]
    assert passed == [True, True, True, True, False]
    left = await one.pttl(f"{name}:a")
    assert 0 < left <= 400
    for _ in range(200):
        if not await one.exists(f"{name}:a"):
            break
        await asyncio.sleep(0.05)
    assert not await one.exists(f"{name}:a")
    await one.aclose()
    await other.aclose()


async def test_a_server_that_lost_the_script_is_given_it_again(server):
    client = connect(server.url, 20)
    limiter = RedisRateLimiter(client, SystemClock(), uuid.uuid4().hex, 0.001, 10)
    assert (await limiter.take("a")).remaining == 9
    await client.script_flush()
    assert (await limiter.take("a")).remaining == 8
    await client.aclose()


class SteppedClock(SystemClock):
    """Steady time that the test moves on."""

    def __init__(self):
        self.shift = 0.0

    def monotonic(self):
        return super().monotonic() + self.shift


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_without_redis_each_process_limits_by_itself_and_returns_to_it(harm, caplog):
    caplog.set_level(logging.WARNING)
    with redis_server() as running:
        clock = SteppedClock()
        client = connect(running.url, call_seconds=0.3)
        limiter = RedisRateLimiter(client, clock, "limit", 0.001, 3)
        for _ in range(40):  # a busy machine may not answer in time at first
            if (await limiter.take("a", 3)).arrival == 0.0 and not caplog.records:
                break
            caplog.clear()
            clock.shift += 2
        getattr(running, harm)()
        verdicts = [await limiter.take("b") for _ in range(5)]
        assert [verdict.allowed for verdict in verdicts] == [True, True, True, False, False]
        assert len(caplog.records) == 1  # asked once, not five times
        running.resume() if harm == "pause" else running.start()
        for _ in range(100):
            clock.shift += 2
            caplog.clear()
            verdict = await limiter.take("c")
            if not caplog.records:
                break
        assert (verdict.allowed, verdict.arrival) == (True, 0.0)  # judged by Redis again
        await client.aclose()


async def test_a_policy_keeps_to_a_rate_in_redis(server):
    client = connect(server.url, 20)
    policy = Policy("catalog", rate=RedisRateLimiter(client, SystemClock(), uuid.uuid4().hex, 0.001, 2), deadline=30)
    done = await asyncio.gather(*(policy.call(asyncio.sleep, 0) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, RateLimited) for one in done) == 3
    await client.aclose()
