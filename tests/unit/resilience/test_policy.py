"""The policy as a whole: its forms, the order of its parts, deadline, fallback and retries. Hedging and cancellation have their own."""

import asyncio
import random
import subprocess
import sys

import pytest

from kinema.core.clock import ManualClock, SystemClock
from kinema.core.errors import BadInput, DeadlineExceeded, NotFound, StorageFull, Unavailable
from kinema.resilience import (
    BreakerConfig,
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    Deadline,
    Fallback,
    FullJitter,
    HedgeDelay,
    Limiter,
    LimitReached,
    Policy,
    RateLimited,
    RateLimiter,
    Retry,
    RetryBudget,
    State,
    limit,
)
from kinema.resilience.deadline import current
from kinema.resilience.retry import Failure
from tests.support.virtual_time import elapse, finish, settle


class Callee:
    """Does what it is told for each call: a number is slept, an error is raised, anything else is returned."""

    def __init__(self, clock, *script):
        self.clock = clock
        self.script = list(script)
        self.calls = []

    async def __call__(self, *args):
        self.calls.append(self.clock.monotonic())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        for each in step if isinstance(step, list) else [step]:
            if isinstance(each, float):
                await self.clock.sleep(each)
            elif isinstance(each, Exception):
                raise each
            else:
                return each
        return "done"


def steady(attempts=3, **options):
    """Retries after exactly 1, 2, 4 ... tenths of a second."""

    class Always(random.Random):
        def random(self):
            return 1.0

    return Retry(attempts=attempts, backoff=FullJitter(base=0.1, most=10.0, source=Always()), **options)


def test_the_library_is_usable_alone():
    probe = (
        "import sys; from kinema.resilience import Policy\n"
        "heavy = ('litestar', 'numpy', 'sqlalchemy', 'uvicorn', 'uvloop', 'httptools', 'redis', 'httpx', 'obstore',"
        " 'structlog', 'kinema.http', 'kinema.rpc', 'kinema.storage', 'kinema.model', 'kinema.services')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_policy_without_parts_only_calls():
    async def add(one, other=0):
        return one + other

    policy = Policy()
    assert await policy.call(add, 1, other=2) == 3
    assert await policy(add)(1, other=3) == 4
    assert policy(add).__name__ == "add"
    async with policy.attempt():
        pass
    with pytest.raises(ZeroDivisionError):
        async with policy.attempt():
            1 / 0  # noqa: B018


async def test_the_parts_stand_in_their_order_and_what_one_refuses_costs_the_next_nothing():
    clock = ManualClock()
    breaker = CircuitBreaker(clock)
    limiter = Limiter(limit("aimd", first=20, least=1), clock)
    bulkhead = Bulkhead(1)
    rate = RateLimiter(clock, rate=1.0, burst=1)
    policy = Policy("catalog", clock=clock, rate=rate, breaker=breaker, limiter=limiter, bulkhead=bulkhead)
    callee = Callee(clock, "answer")
    for _ in range(20):
        limiter.try_acquire()
    bulkhead.try_acquire()
    breaker.force_open()
    assert rate.take_now("catalog").allowed
    for part, refusal, clear in (
        ("rate", RateLimited, lambda: clock.advance(10)),
        ("breaker", CircuitOpen, breaker.automatic),
        ("limit", LimitReached, lambda: [limiter.ignore() for _ in range(20)]),
        ("bulkhead", BulkheadFull, bulkhead.release),
    ):
        if part != "rate":
            clock.advance(10)  # the rate is paid for each time
        with pytest.raises(refusal):
            await policy.call(callee)
        clear()
        assert limiter.in_flight in {0, 20}
    clock.advance(10)
    assert await policy.call(callee) == "answer"
    assert (len(callee.calls), limiter.in_flight, bulkhead.in_use) == (1, 0, 0)
    counts = policy.snapshot().counts
    assert counts["success"] == 1


async def test_refusals_are_counted_by_part():
    clock = ManualClock()
    breaker = CircuitBreaker(clock)
    limiter = Limiter(limit("aimd", first=1, least=1), clock)
    policy = Policy(
        clock=clock,
        rate=RateLimiter(clock, 0.1, 4),
        breaker=breaker,
        limiter=limiter,
        bulkhead=Bulkhead(1, queue=0),
    )
    breaker.force_open()
    with pytest.raises(CircuitOpen):
        await policy.call(Callee(clock, "x"))
    breaker.automatic()
    slow = asyncio.create_task(policy.call(Callee(clock, 5.0)))
    await settle()
    assert policy.snapshot().in_flight == 1
    with pytest.raises(LimitReached):
        await policy.call(Callee(clock, "x"))
    limiter.release(0.1)  # the limit grows to two
    limiter.try_acquire()
    with pytest.raises(BulkheadFull):
        await policy.call(Callee(clock, "x"))
    with pytest.raises(RateLimited) as refused:
        await policy.call(Callee(clock, "x"))
    assert refused.value.retry_after == pytest.approx(10.0)
    await finish(clock, slow)
    snapshot = policy.snapshot()
    assert {name: count for name, count in snapshot.counts.items() if count} == {
        "success": 1,
        "short_circuited": 1,
        "limit_reached": 1,
        "bulkhead_full": 1,
        "rate_limited": 1,
    }
    assert (snapshot.in_flight, snapshot.latency.count, snapshot.latency.mean) == (0, 1, pytest.approx(5.0))


# -- deadline -------------------------------------------------------------------------------------------------------------


async def test_a_call_ends_at_its_deadline_and_that_is_a_failure_of_the_callee():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=1))
    limiter = Limiter(limit("aimd", first=30, least=1), clock)
    policy = Policy(clock=clock, deadline=2.0, breaker=breaker, limiter=limiter)
    began = clock.monotonic()
    with pytest.raises(DeadlineExceeded, match="2 s"):
        await finish(clock, policy.call(Callee(clock, 60.0)))
    assert clock.monotonic() - began == pytest.approx(2.0)
    assert (breaker.state, limiter.limit, limiter.in_flight) == (State.OPEN, 27, 0)
    assert policy.snapshot().counts["timeout"] == 1


async def test_what_is_called_sees_the_time_that_is_left_and_an_inner_policy_cannot_have_more():
    clock = ManualClock()
    seen = []

    async def innermost():
        seen.append(current.get().remaining)
        await clock.sleep(100)

    inner = Policy(clock=clock, deadline=5.0)

    async def middle():
        await clock.sleep(1.5)
        await inner.call(innermost)

    outer = Policy(clock=clock, deadline=2.0)
    with pytest.raises(DeadlineExceeded):
        await finish(clock, outer.call(middle))
    assert seen == [pytest.approx(0.5)]
    assert current.get() is None


async def test_a_shorter_inner_deadline_is_its_own():
    clock = ManualClock()
    outer, inner = Policy(clock=clock, deadline=2.0), Policy(clock=clock, deadline=0.5)

    async def middle():
        with pytest.raises(DeadlineExceeded):
            await inner.call(Callee(clock, 1.0))
        return clock.monotonic()

    began = clock.monotonic()
    assert await finish(clock, outer.call(middle)) - began == pytest.approx(0.5)


async def test_nothing_is_begun_when_no_time_is_left():
    clock = ManualClock()
    callee = Callee(clock, "x")
    token = current.set(Deadline(clock, 0.0))
    try:
        for policy in (Policy(clock=clock), Policy(clock=clock, deadline=5.0)):
            with pytest.raises(DeadlineExceeded):
                await policy.call(callee)
    finally:
        current.reset(token)
    assert callee.calls == []


async def test_the_callers_own_cancellation_is_not_taken_for_the_deadline():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=1))
    policy = Policy(clock=clock, deadline=2.0, breaker=breaker)
    task = asyncio.create_task(policy.call(Callee(clock, 60.0)))
    await elapse(clock, 1.0)
    task.cancel()
    await settle()
    assert task.cancelled()
    assert (breaker.state, policy.snapshot().counts["cancelled"]) == (State.CLOSED, 1)


async def test_deadlines_work_on_the_machines_clock():
    policy = Policy(deadline=0.02, bulkhead=Bulkhead(1, queue=1))
    assert isinstance(policy._parts.clock, SystemClock)
    results = await asyncio.gather(*(policy.call(asyncio.sleep, 60) for _ in range(3)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == [
        "BulkheadFull",
        "DeadlineExceeded",
        "DeadlineExceeded",
    ]


@pytest.mark.parametrize("deadline", [0.0, -1.0, float("nan"), float("inf")])
def test_a_deadline_that_makes_no_sense_is_refused(deadline):
    with pytest.raises(ValueError, match="seconds above 0"):
        Policy(deadline=deadline)
    with pytest.raises(ValueError, match="seconds above 0"):
        Policy().but(deadline=deadline)


# -- fallback -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        (Unavailable("x"), True),
        (DeadlineExceeded("x"), True),
        (ConnectionRefusedError(), True),
        (StorageFull("x"), True),
        (ValueError("x"), True),
        (RateLimited("x"), True),
        (NotFound("x"), False),
        (BadInput("x"), False),
    ],
)
async def test_a_fallback_answers_for_failures_and_not_for_mistakes_of_the_caller(error, answered):
    clock = ManualClock()
    policy = Policy(clock=clock, fallback=Fallback(answer=lambda failed: ("instead", failed)))
    if answered:
        assert await policy.call(Callee(clock, error)) == ("instead", error)
    else:
        with pytest.raises(type(error)):
            await policy.call(Callee(clock, error))
    assert policy.snapshot().counts["fallback"] == answered


async def test_a_fallback_may_be_for_certain_errors_only():
    clock = ManualClock()
    policy = Policy(clock=clock, fallback=Fallback(answer=lambda _: "instead", on=(NotFound,)))
    assert await policy.call(Callee(clock, NotFound("x"))) == "instead"
    with pytest.raises(Unavailable):
        await policy.call(Callee(clock, Unavailable("x")))


async def test_a_fallback_that_takes_a_moment_still_answers_within_the_deadline():
    clock = ManualClock()
    seen = []

    async def from_elsewhere(_):
        seen.append(current.get().remaining)
        await clock.sleep(0.04)
        return "instead"

    policy = Policy(clock=clock, deadline=1.0, fallback=Fallback(answer=from_elsewhere))
    began = clock.monotonic()
    assert await finish(clock, policy.call(Callee(clock, 60.0))) == "instead"
    assert clock.monotonic() - began == pytest.approx(0.99)
    assert seen == [pytest.approx(0.05)]


async def test_a_fallback_that_hangs_or_fails_is_cut_and_counted():
    clock = ManualClock()
    policy = Policy(clock=clock, deadline=1.0, fallback=Fallback(answer=lambda _: clock.sleep(60)))
    began = clock.monotonic()
    with pytest.raises(DeadlineExceeded):
        await finish(clock, policy.call(Callee(clock, 60.0)))
    assert clock.monotonic() - began == pytest.approx(1.0)
    with pytest.raises(ZeroDivisionError):
        await policy.but(fallback=Fallback(answer=lambda _: 1 / 0)).call(Callee(clock, Unavailable("x")))
    assert policy.snapshot().counts["fallback_failed"] == 2


async def test_an_open_breaker_is_answered_for_at_once():
    clock = ManualClock()
    breaker = CircuitBreaker(clock)
    breaker.force_open()
    policy = Policy(clock=clock, breaker=breaker, retry=steady(), fallback=Fallback(answer=lambda _: "instead"))
    callee = Callee(clock, "x")
    assert await policy.call(callee) == "instead"  # no time passes: our own refusals are not tried again
    assert callee.calls == []


# -- retries --------------------------------------------------------------------------------------------------------------


async def test_a_failure_is_tried_again_after_waits_that_double():
    clock = ManualClock(0.0)
    callee = Callee(clock, Unavailable("x"), ValueError("x"), "answer")
    policy = Policy(clock=clock, retry=steady())
    assert await finish(clock, policy.call(callee)) == "answer"
    assert callee.calls == [0.0, pytest.approx(0.1), pytest.approx(0.3)]
    assert policy.snapshot().counts["retry"] == 2


async def test_attempts_end_and_the_last_error_is_raised():
    clock = ManualClock()
    callee = Callee(clock, Unavailable("first"), Unavailable("second"), Unavailable("third"))
    with pytest.raises(Unavailable, match="third"):
        await finish(clock, Policy(clock=clock, retry=steady()).call(callee))
    assert len(callee.calls) == 3


@pytest.mark.parametrize("error", [NotFound("x"), BadInput("x"), StorageFull("x")])
async def test_what_would_fail_again_is_not_tried_again(error):
    clock = ManualClock()
    callee = Callee(clock, error)
    with pytest.raises(type(error)):
        await Policy(clock=clock, retry=steady()).call(callee)
    assert len(callee.calls) == 1


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (ConnectionRefusedError(), 3),
        (BulkheadFull("turned away by a policy further in"), 3),
        (ConnectionResetError(), 1),
        (Unavailable("x"), 1),
        (TimeoutError(), 1),
    ],
)
async def test_what_is_not_idempotent_is_only_repeated_when_nothing_was_begun(error, calls):
    clock = ManualClock()
    callee = Callee(clock, error)
    policy = Policy(clock=clock, retry=steady())
    with pytest.raises(type(error)):
        await finish(clock, policy.but(idempotent=False).call(callee))
    assert len(callee.calls) == calls
    with pytest.raises(type(error)):
        await finish(clock, policy.call(Callee(clock, error)))
    assert policy.snapshot().counts["retry"] == calls - 1 + 2


async def test_an_attempt_may_be_cut_so_that_there_is_time_for_another():
    clock = ManualClock(0.0)
    callee = Callee(clock, 60.0, "answer")
    policy = Policy(clock=clock, deadline=2.0, retry=steady(attempt_seconds=0.5))
    assert await finish(clock, policy.call(callee)) == "answer"
    assert callee.calls == [0.0, pytest.approx(0.6)]


async def test_retry_after_is_waited_for_and_when_there_is_no_time_the_failure_comes_at_once():
    clock = ManualClock(0.0)
    asking = Unavailable("x")
    asking.retry_after = 0.7
    callee = Callee(clock, asking, "answer")
    assert await finish(clock, Policy(clock=clock, deadline=2.0, retry=steady()).call(callee)) == "answer"
    assert callee.calls == [0.0, pytest.approx(0.7)]
    asking.retry_after = 5.0
    before = clock.monotonic()
    with pytest.raises(Unavailable):
        await Policy(clock=clock, deadline=2.0, retry=steady()).call(Callee(clock, asking))
    assert clock.monotonic() == before


async def test_a_rate_limit_is_waited_for_when_retries_are_allowed():
    clock = ManualClock(0.0)
    policy = Policy(clock=clock, deadline=5.0, retry=steady(), rate=RateLimiter(clock, 1.0, 1))
    callee = Callee(clock, "answer")
    assert await policy.call(callee) == "answer"
    assert await finish(clock, policy.call(callee)) == "answer"
    assert callee.calls == [0.0, pytest.approx(1.0)]


async def test_retries_stop_with_the_budget():
    clock = ManualClock()
    budget = RetryBudget(clock, ratio=0.2, per_second=0.0)
    policy = Policy(clock=clock, retry=steady(attempts=2), budget=budget)
    callee = Callee(clock, Unavailable("x"))
    for _ in range(100):
        with pytest.raises(Unavailable):
            await finish(clock, policy.call(callee))
    assert len(callee.calls) in {119, 120}  # one retry for five calls; sums of 0.2 may fall short of the last


async def test_a_caller_may_grant_retries_to_all_that_is_called_for_it():
    clock = ManualClock()
    token = current.set(Deadline(clock, 60.0, retries=3))
    try:
        callee = Callee(clock, Unavailable("x"))
        policy = Policy(clock=clock, deadline=10.0, retry=steady())
        for _ in range(3):
            with pytest.raises(Unavailable):
                await finish(clock, policy.call(callee))
        assert len(callee.calls) == 3 + 3
        assert current.get().retries == 0
    finally:
        current.reset(token)


async def test_answers_may_be_failures():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=2))
    policy = Policy(
        clock=clock,
        retry=steady(attempts=2),
        breaker=breaker,
        judge_result=lambda status: Failure.FAILED if status >= 500 else None,
    )
    assert await finish(clock, policy.call(Callee(clock, 503, 200))) == 200
    assert await finish(clock, policy.but(idempotent=False).call(Callee(clock, 503, 200))) == 503
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("options", [{"attempts": 0}, {"attempt_seconds": 0.0}])
def test_a_retry_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="at least one"):
        Retry(**options)


def test_a_policy_is_changed_in_what_belongs_to_a_call_only():
    with pytest.raises(TypeError, match="not in breaker"):
        Policy().but(breaker=None)


# -- blocks ---------------------------------------------------------------------------------------------------------------


async def test_a_block_is_one_attempt_under_the_deadline_and_the_guards():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=2))
    bulkhead = Bulkhead(1)
    policy = Policy(clock=clock, deadline=1.0, breaker=breaker, bulkhead=bulkhead, retry=steady())

    async def block():
        async with policy.attempt():
            assert current.get().remaining == pytest.approx(1.0)
            assert bulkhead.in_use == 1
            await clock.sleep(60)

    with pytest.raises(DeadlineExceeded):
        await finish(clock, block())
    with pytest.raises(KeyError):
        async with policy.attempt():
            raise KeyError
    assert (breaker.state, bulkhead.in_use, current.get()) == (State.OPEN, 0, None)
    with pytest.raises(CircuitOpen):
        async with policy.attempt():
            raise AssertionError


async def test_blocks_are_run_until_one_succeeds():
    clock = ManualClock(0.0)
    policy = Policy(clock=clock, deadline=5.0, retry=steady(attempt_seconds=0.5), bulkhead=Bulkhead(1))
    began = []

    async def blocks():
        async for attempt in policy.attempts():
            async with attempt:
                began.append(clock.monotonic())
                if len(began) == 1:
                    raise Unavailable("x")
                if len(began) == 2:
                    await clock.sleep(60)
                result = "answer"
        return result

    assert await finish(clock, blocks()) == "answer"
    assert began == [0.0, pytest.approx(0.1), pytest.approx(0.8)]
    counts = policy.snapshot().counts
    assert (counts["retry"], counts["failure"], counts["timeout"], counts["success"]) == (2, 1, 1, 1)


@pytest.mark.parametrize(("error", "runs"), [(NotFound("x"), 1), (Unavailable("x"), 3)])
async def test_blocks_end_with_what_is_not_tried_again(error, runs):
    clock = ManualClock()
    policy, ran = Policy(clock=clock, retry=steady()), []

    async def blocks():
        async for attempt in policy.attempts():
            async with attempt:
                ran.append(attempt)
                raise error

    with pytest.raises(type(error)):
        await finish(clock, blocks())
    assert len(ran) == runs


async def test_a_block_that_is_left_early_gives_its_permits_back():
    clock = ManualClock()
    bulkhead = Bulkhead(1)
    policy = Policy(clock=clock, bulkhead=bulkhead, retry=steady())
    async for attempt in policy.attempts():
        async with attempt:
            break
    assert bulkhead.in_use == 0

    async def block():
        async with policy.attempt():
            await clock.sleep(60)

    task = asyncio.create_task(block())
    await settle()
    assert bulkhead.in_use == 1
    task.cancel()
    await settle()
    assert (task.cancelled(), bulkhead.in_use) == (True, 0)


# -- tiers ----------------------------------------------------------------------------------------------------------------


async def test_a_failure_behind_three_tiers_is_hardly_multiplied():
    """Each tier retries by its own policy; only the one next to the failure does, the others see it marked."""
    clock = ManualClock()
    reached = 0

    class Retried(Unavailable):
        """A failure of somebody further down."""

    def judge(error):
        return Failure.FINAL if isinstance(error, Retried) else Failure.FAILED

    async def service():
        nonlocal reached
        reached += 1
        raise Unavailable("down")

    def tier(below):
        policy = Policy(clock=clock, retry=Retry(attempts=3), judge_error=judge)

        async def call():
            try:
                return await policy.call(below)
            except Unavailable as error:
                raise Retried(str(error)) from error

        return call

    front = tier(tier(tier(service)))

    async def client():
        with pytest.raises(Retried):
            await front()

    tasks = []
    for _ in range(300 * 10):
        tasks.append(asyncio.create_task(client()))
        await asyncio.sleep(0)
        clock.advance(1 / 300)
    await elapse(clock, 5)
    assert all(task.done() for task in tasks)
    assert 1.0 < reached / len(tasks) < 1.25


async def test_a_policy_with_all_parts_answers():
    clock = ManualClock()
    policy = Policy(
        "catalog",
        clock=clock,
        deadline=2.0,
        fallback=Fallback(answer=lambda _: None),
        retry=Retry(),
        hedge=HedgeDelay(),
        rate=RateLimiter(clock, 1000.0, 100),
        breaker=CircuitBreaker(clock),
        limiter=Limiter(limit(), clock),
        bulkhead=Bulkhead(10, queue=10),
    )
    for _ in range(500):
        assert await policy.call(Callee(clock, "answer")) == "answer"
        clock.advance(0.01)
    snapshot = policy.snapshot()
    assert (snapshot.name, snapshot.counts["success"], snapshot.in_flight) == ("catalog", 500, 0)
    assert (snapshot.breaker.calls, snapshot.limiter.in_flight, snapshot.bulkhead.in_use) == (500, 0, 0)
