"""Second copies of late calls, and that no permit is ever lost or doubled, whoever is cancelled when."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.errors import DeadlineExceeded, NotFound, Unavailable
from kinema.resilience import (
    BreakerConfig,
    Bulkhead,
    CircuitBreaker,
    Fallback,
    HedgeDelay,
    Limiter,
    Policy,
    RateLimiter,
    Retry,
    RetryBudget,
    State,
    limit,
)
from kinema.resilience.hedging import _under_way
from kinema.resilience.retry import Failure
from tests.support.virtual_time import elapse, finish, settle


def known(seconds=0.1):
    """A delay that has seen a hundred calls of so many seconds."""
    delay = HedgeDelay(half_life=1_000_000)
    for _ in range(100):
        delay.record(seconds)
    return delay


class Copies:
    """A callee of which each copy does something else: (seconds, what comes then)."""

    def __init__(self, clock, *copies):
        self.clock = clock
        self.copies = copies
        self.began, self.ended, self.cancelled = [], [], []

    async def __call__(self):
        number = len(self.began)
        self.began.append(self.clock.monotonic())
        seconds, then = self.copies[number]
        try:
            await self.clock.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        self.ended.append(number)
        if isinstance(then, Exception):
            raise then
        return then


def hedging(clock, **parts):
    return Policy(
        clock=clock,
        hedge=known(),
        breaker=CircuitBreaker(clock, BreakerConfig(minimum_calls=1)),
        limiter=Limiter(limit("aimd", first=20), clock),
        bulkhead=Bulkhead(10),
        **parts,
    )


def held(policy):
    guards = policy._parts.guards
    return guards.in_flight, guards.limiter.in_flight, guards.bulkhead.in_use


async def test_a_call_that_is_answered_in_time_has_no_second_copy():
    clock = ManualClock(0.0)
    policy, callee = hedging(clock), Copies(clock, (0.05, "first"))
    assert await finish(clock, policy.call(callee)) == "first"
    await elapse(clock, 1.0)
    assert (len(callee.began), policy.snapshot().counts["hedge"]) == (1, 0)


async def test_the_second_copy_of_a_late_call_answers_and_the_first_is_cancelled():
    clock = ManualClock(0.0)
    policy, callee = hedging(clock), Copies(clock, (60.0, "first"), (0.05, "second"))
    assert await finish(clock, policy.call(callee)) == "second"
    assert callee.began == [0.0, pytest.approx(0.1, rel=0.03)]
    assert clock.monotonic() == pytest.approx(0.15, rel=0.03)
    assert (callee.cancelled, held(policy)) == ([0], (0, 0, 0))
    counts = policy.snapshot().counts
    assert (counts["hedge"], counts["hedge_won"], counts["success"], counts["cancelled"]) == (1, 1, 1, 1)
    assert policy.snapshot().breaker.state is State.CLOSED
    assert not _under_way
    assert asyncio.current_task().cancelling() == 0


async def test_the_first_copy_may_still_win_and_the_second_is_cancelled():
    clock = ManualClock(0.0)
    policy, callee = hedging(clock), Copies(clock, (0.15, "first"), (60.0, "second"))
    assert await finish(clock, policy.call(callee)) == "first"
    await settle()
    assert (callee.cancelled, held(policy), len(_under_way)) == ([1], (0, 0, 0), 0)


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        ((0.2, Unavailable("first")), (0.5, "second"), "second"),  # waits for the other
        ((0.8, "first"), (0.1, Unavailable("second")), "first"),
        ((0.2, Unavailable("first")), (0.05, "second"), "second"),
    ],
)
async def test_the_copy_that_succeeds_is_the_answer_whichever_fails(first, second, answer):
    clock = ManualClock()
    policy = hedging(clock)
    assert await finish(clock, policy.call(Copies(clock, first, second))) == answer
    assert held(policy) == (0, 0, 0)


@pytest.mark.parametrize("seconds", [0.01, 0.5])
async def test_when_both_fail_the_first_copys_failure_is_raised(seconds):
    clock = ManualClock()
    policy = hedging(clock)
    with pytest.raises(Unavailable, match="first"):
        await finish(clock, policy.call(Copies(clock, (0.2, Unavailable("first")), (seconds, Unavailable("second")))))
    assert held(policy) == (0, 0, 0)


async def test_a_failure_before_the_call_is_late_is_not_hedged_but_retried():
    clock = ManualClock()
    callee = Copies(clock, (0.05, Unavailable("x")), (0.05, "again"))
    policy = Policy(clock=clock, hedge=known(), retry=Retry())
    assert await finish(clock, policy.call(callee)) == "again"
    counts = policy.snapshot().counts
    assert (counts["hedge"], counts["retry"]) == (0, 1)


async def test_what_is_not_idempotent_is_never_hedged():
    clock = ManualClock()
    callee = Copies(clock, (5.0, "first"))
    assert await finish(clock, hedging(clock).but(idempotent=False).call(callee)) == "first"
    assert len(callee.began) == 1


async def test_hedges_and_retries_share_a_budget():
    clock = ManualClock()
    budget = RetryBudget(clock, ratio=0.2, per_second=0.0)
    policy = hedging(clock, budget=budget, retry=Retry(attempts=2))
    hedged = 0
    for _ in range(50):
        callee = Copies(clock, (1.0, "first"), (1.0, "second"))
        await finish(clock, policy.call(callee))
        hedged += len(callee.began) - 1
    assert hedged in {9, 10}
    assert not budget.take()


async def test_an_answer_that_is_a_failure_does_not_win():
    clock = ManualClock()
    policy = Policy(clock=clock, hedge=known(), judge_result=lambda status: Failure.FAILED if status >= 500 else None)
    assert await finish(clock, policy.call(Copies(clock, (0.5, 200), (0.1, 503)))) == 200
    assert await finish(clock, policy.call(Copies(clock, (0.2, 503), (0.5, 200)))) == 200
    assert await finish(clock, policy.call(Copies(clock, (0.2, 503), (0.5, 500)))) == 503


async def test_an_answer_that_says_the_caller_was_wrong_is_the_answer_unless_the_other_succeeds():
    clock = ManualClock()
    with pytest.raises(NotFound):
        await finish(clock, hedging(clock).call(Copies(clock, (0.2, NotFound("x")), (0.3, NotFound("y")))))


async def test_the_deadline_ends_both_copies_and_both_timed_out():
    clock = ManualClock(0.0)
    policy = hedging(clock, deadline=1.0)
    callee = Copies(clock, (60.0, "first"), (60.0, "second"))
    with pytest.raises(DeadlineExceeded):
        await finish(clock, policy.call(callee))
    await settle()
    assert clock.monotonic() == pytest.approx(1.0)
    assert (sorted(callee.cancelled), held(policy)) == ([0, 1], (0, 0, 0))
    assert policy.snapshot().counts["timeout"] == 2
    assert policy.snapshot().breaker.state is State.OPEN


async def test_when_the_caller_is_cancelled_both_copies_are():
    clock = ManualClock()
    policy = hedging(clock, deadline=10.0)
    callee = Copies(clock, (60.0, "first"), (60.0, "second"))
    task = asyncio.create_task(policy.call(callee))
    await elapse(clock, 0.5)
    assert held(policy) == (2, 2, 2)
    task.cancel()
    await settle()
    assert task.cancelled()
    assert (sorted(callee.cancelled), held(policy), len(_under_way)) == ([0, 1], (0, 0, 0), 0)
    assert policy.snapshot().breaker.state is State.CLOSED


async def test_when_the_caller_is_cancelled_while_waiting_for_the_second_copy_that_is_too():
    clock = ManualClock()
    policy = hedging(clock)
    callee = Copies(clock, (0.2, Unavailable("x")), (60.0, "second"))
    task = asyncio.create_task(policy.call(callee))
    await elapse(clock, 0.5)
    task.cancel()
    await settle()
    assert (task.cancelled(), callee.cancelled, held(policy)) == (True, [1], (0, 0, 0))


async def test_a_caller_cancelled_in_the_moment_in_which_the_second_copy_wins_stays_cancelled():
    clock = ManualClock()
    policy = hedging(clock)

    async def second_wins_now():
        task = asyncio.create_task(policy.call(Copies(clock, (60.0, "first"), (0.05, "second"))))
        await elapse(clock, 0.101)
        clock.advance(0.1)
        for _ in range(3):  # the copy has ended and cancels the first; nobody has run since
            await asyncio.sleep(0)
            task.cancel()
        return task

    task = await second_wins_now()
    await settle()
    assert task.cancelled()
    assert held(policy) == (0, 0, 0)


async def test_a_callee_that_swallows_its_cancellation_gives_the_answer_and_leaves_no_cancellation_behind():
    clock = ManualClock()

    class Stubborn(Copies):
        async def __call__(self):
            try:
                return await super().__call__()
            except asyncio.CancelledError:
                return "stubborn"

    policy = hedging(clock)

    async def caller():
        answer = await policy.call(Stubborn(clock, (60.0, "first"), (0.05, "second")))
        return answer, asyncio.current_task().cancelling()

    assert await finish(clock, caller()) == ("stubborn", 0)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
async def test_whatever_happens_when_every_permit_comes_back(seed):
    """Calls that last, fail, hang, are hedged, retried, cut off and cancelled at random, all through one policy."""
    source = random.Random(seed)
    clock = ManualClock(0.0)
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=5, sleep_seconds=1.0, probes=2))
    limiter = Limiter(limit("aimd", first=6, least=2), clock)
    bulkhead = Bulkhead(4, queue=3)
    hedge = known(0.1)
    policy = Policy(
        clock=clock,
        deadline=1.0,
        fallback=Fallback(answer=lambda _: clock.sleep(source.choice([0.0, 0.02]))),
        retry=Retry(attempts=3, attempt_seconds=0.6),
        hedge=hedge,
        rate=RateLimiter(clock, 200.0, 50),
        breaker=breaker,
        limiter=limiter,
        bulkhead=bulkhead,
        budget=RetryBudget(clock, ratio=1.0, per_second=50.0),
    )
    most_at_once = 0

    async def work():
        nonlocal most_at_once
        most_at_once = max(most_at_once, bulkhead.in_use)
        for _ in range(source.randint(0, 2)):
            await clock.sleep(source.choice([0.0, 0.01, 0.1, 0.3, 5.0]))
        if source.random() < 0.4:
            raise source.choice([Unavailable("x"), NotFound("x"), ConnectionRefusedError(), asyncio.CancelledError()])
        return "answer"

    async def block():
        async for attempt in policy.attempts():
            async with attempt:
                await work()

    tasks = []
    for _ in range(60):
        call = source.choice([policy.call, policy.but(idempotent=False).call])
        tasks.append(asyncio.create_task(call(work) if source.random() < 0.8 else block()))
        if source.random() < 0.3:
            source.choice(tasks).cancel()
        await elapse(clock, source.choice([0.0, 0.01, 0.05, 0.2]))
    for task in tasks:
        if source.random() < 0.3:
            task.cancel()
    await elapse(clock, 20.0)
    assert all(task.done() for task in tasks)
    guards = policy._parts.guards
    assert (guards.in_flight, limiter.in_flight, bulkhead.in_use, bulkhead.waiting) == (0, 0, 0, 0)
    assert most_at_once <= 4
    assert not _under_way
    for _ in range(4):  # however it ended, a few good calls close the breaker: no probe was lost
        clock.advance(2.0)
        if breaker.allow():
            breaker.success(0.01)
    assert breaker.state is State.CLOSED
    await asyncio.gather(*tasks, return_exceptions=True)
