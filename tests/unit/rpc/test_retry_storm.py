"""A service that fails everything, behind three tiers that all know how to retry: it must not see its load multiplied."""

import asyncio
import time

import pytest
from litestar import get

from tests.support.fabric import bearer, fabric


async def amplification(region, rate, seconds):
    """Send requests through gateway, a and b to a failing c; return how many c saw of each."""
    failing = await region.upstream("c", lambda exchange: exchange.reply(500, (), b"{}"))
    second = await region.upstream("c", lambda exchange: exchange.reply(500, (), b"{}"), 2)

    def handler(path, target):
        @get(path, opt={"public": True})
        async def ask() -> None:
            await region.rpc.call(target, "GET", "/c" if target == "c" else "/b")

        return ask

    for number in (1, 2):
        await region.service("catalog", handler("/v1/home", "b"), number=number)
        await region.service("b", handler("/b", "c"), number=number)
    token = bearer(await region.token())
    statuses, waiting = [], set()
    while region.rpc.budgets.of("c").take():
        pass  # what a quiet service has saved up

    async def ask():
        statuses.append((await region.get("/v1/home", token)).status)

    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        while len(waiting) + len(statuses) < passed * rate:
            task = asyncio.create_task(ask())
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        await asyncio.sleep(0.005)
    await asyncio.gather(*waiting)
    assert set(statuses) <= {500, 503, 504}
    return len(statuses), len(failing.seen) + len(second.seen)


@pytest.fixture
def patient(monkeypatch):
    """Breakers that never open: they would make the test easy."""
    from kinema.rpc.balance import guards

    monkeypatch.setattr(guards.CircuitBreaker, "allow", lambda _: True)
    monkeypatch.setattr(guards.CircuitBreaker, "failure", lambda *_: None)


async def test_a_failing_service_behind_three_tiers_sees_little_more_than_its_usual_calls(tmp_path, patient):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        sent, seen = await amplification(region, rate=40, seconds=4.0)
        assert sent >= 80
        assert sent < seen <= sent * 1.2 + 3 * 10


@pytest.mark.slow
async def test_at_three_hundred_requests_a_second_the_amplification_stays_under_a_quarter(tmp_path, patient):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        sent, seen = await amplification(region, rate=300, seconds=20.0)
        assert sent > 1500
        assert seen / sent < 1.25
