"""Everything a call needs to survive, in one object.

    deadline       the shorter of the policy's own and what the call around it has left
    fallback       what to answer when the rest failed
    retry, hedge   further attempts under one budget, on what may be repeated
    each attempt   rate limit, circuit breaker, adaptive limit, bulkhead, then the call

    policy = Policy("catalog", clock=clock, deadline=2.0, retry=Retry(), breaker=CircuitBreaker(clock))
    await policy.call(fetch, url)                                 a call
    @policy                                                       every call of an async function
    async with policy.attempt(): ...                              a block, tried once: it cannot be run again, nor answered for
    async for attempt in policy.attempts():                       a block that may be run again: all but hedge and fallback
        async with attempt: ...

Every part may be left out, shared between policies, and used without a policy. A policy may be shared by any number of tasks of one
event loop.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from kinema.core.clock import Clock, SystemClock
from kinema.resilience.attempt import Attempt
from kinema.resilience.blocks import Block, Blocks
from kinema.resilience.breaker import BreakerSnapshot, CircuitBreaker
from kinema.resilience.bulkhead import Bulkhead, BulkheadSnapshot
from kinema.resilience.course import Course
from kinema.resilience.cut import Cut
from kinema.resilience.deadline import Deadline, current
from kinema.resilience.errors import RateLimited, Refused
from kinema.resilience.guards import Event, Guards
from kinema.resilience.hedge import HedgeDelay
from kinema.resilience.hedging import Race
from kinema.resilience.judging import judge
from kinema.resilience.latencies import Latencies, LatencySnapshot
from kinema.resilience.limiter import Limiter, LimiterSnapshot
from kinema.resilience.parts import Fallback, Parts, Retry
from kinema.resilience.rate_limit import RateLimits
from kinema.resilience.retry import Failure
from kinema.resilience.retry_budget import RetryBudget

P = ParamSpec("P")
T = TypeVar("T")

_CHANGEABLE = frozenset({"deadline", "fallback", "retry", "idempotent"})


class PolicySnapshot(Struct, frozen=True, kw_only=True):
    """A policy at one moment; `counts` by the names of Event, of the last ten seconds; `latency` of whole calls."""

    name: str
    counts: dict[str, int]
    in_flight: int
    latency: LatencySnapshot
    breaker: BreakerSnapshot | None
    limiter: LimiterSnapshot | None
    bulkhead: BulkheadSnapshot | None
    deadline: float | None


class Policy:
    """Applies its parts to async calls. `name` says what is called, in errors and as the key of the rate limit."""

    __slots__ = ("_latencies", "_parts", "name")

    def __init__(
        self,
        name: str = "",
        *,
        clock: Clock | None = None,
        deadline: float | None = None,
        fallback: Fallback | None = None,
        retry: Retry | None = None,
        budget: RetryBudget | None = None,
        hedge: HedgeDelay | None = None,
        rate: RateLimits | None = None,
        breaker: CircuitBreaker | None = None,
        limiter: Limiter | None = None,
        bulkhead: Bulkhead | None = None,
        judge_error: Callable[[Exception], Failure | None] = judge,
        judge_result: Callable[[Any], Failure | None] | None = None,
        idempotent: bool = True,
    ) -> None:
        """Take any of the parts.

        `deadline` is in seconds. `budget` is shared by retries and hedges; the policy makes one of its own unless it is given.
        `idempotent`: a call that may have had its effect may be made again; if False, a call is repeated only when nothing was
        begun, and never hedged. `judge_error` and `judge_result` say what is a failure, and of which kind.
        """
        clock = clock or SystemClock()
        self.name = name
        self._latencies = Latencies()
        self._parts = Parts(
            clock=clock,
            guards=Guards(name, clock, rate, breaker, limiter, bulkhead, hedge),
            budget=budget or RetryBudget(clock),
            deadline=_checked(deadline),
            fallback=fallback,
            retry=retry,
            judge_error=judge_error,
            judge_result=judge_result,
            idempotent=idempotent,
        )

    def but(self, **changes: Any) -> "Policy":
        """Return the policy for certain calls: with another deadline, fallback, retry or idempotent. All else is shared."""
        unknown = changes.keys() - _CHANGEABLE
        if unknown:
            raise TypeError(f"A policy can be changed in {', '.join(sorted(_CHANGEABLE))}, not in {unknown.pop()}.")
        _checked(changes.get("deadline"))
        changed = Policy.__new__(Policy)
        changed.name = self.name
        changed._latencies = self._latencies  # noqa: SLF001 -- of the same class
        changed._parts = replace(self._parts, **changes)  # noqa: SLF001 -- of the same class
        return changed

    def __call__(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return the function with every call under this policy."""

        @wraps(function)
        async def under_policy(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self.call(function, *args, **kwargs)

        return under_policy

    async def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function under this policy and return its answer, or the fallback's.

        Raises what the last attempt raised; Refused or RateLimited when a part turned it away; DeadlineExceeded.
        """
        parts = self._parts
        clock, fallback = parts.clock, parts.fallback
        began = clock.monotonic()
        whole = self._deadline()
        deadline = whole
        if whole is not None and fallback is not None:
            left = whole.remaining
            deadline = whole.sooner(left - min(fallback.reserve_seconds, left / 2))
        outer = current.set(deadline)
        try:
            result = await self._attempts(deadline, function, args, kwargs)
        except Exception as error:
            if not isinstance(error, Refused | RateLimited):
                self._latencies.record(clock.monotonic() - began)
            if fallback is None or not self._is_for(fallback, error):
                raise
            current.reset(outer)
            outer = current.set(whole)
            answer: T = await self._fall_back(fallback, error, whole)
            return answer
        else:
            self._latencies.record(clock.monotonic() - began)
            return result
        finally:
            current.reset(outer)

    def attempt(self) -> Block:
        """Return a context manager whose body is one attempt: deadline and guards, no retry, hedge or fallback."""
        return Block(self._parts, Course(self._parts, self._deadline(), once=True))

    def attempts(self) -> Blocks:
        """Return an async iterator of context managers, whose body is run until it succeeds or fails for good."""
        return Blocks(self._parts, Course(self._parts, self._deadline()))

    def snapshot(self) -> PolicySnapshot:
        """Return the figures of now."""
        parts, guards = self._parts, self._parts.guards
        guards.counts.advance(parts.clock.monotonic())
        return PolicySnapshot(
            name=self.name,
            counts={event.name.lower(): guards.counts.sums[event] for event in Event},
            in_flight=guards.in_flight,
            latency=self._latencies.snapshot(),
            breaker=guards.breaker.snapshot() if guards.breaker is not None else None,
            limiter=guards.limiter.snapshot() if guards.limiter is not None else None,
            bulkhead=guards.bulkhead.snapshot() if guards.bulkhead is not None else None,
            deadline=parts.deadline,
        )

    # -- deadline and fallback ---------------------------------------------------------------------------------------

    def _deadline(self) -> Deadline | None:
        seconds = self._parts.deadline
        return current.get() if seconds is None else Deadline.within(self._parts.clock, seconds)

    def _is_for(self, fallback: Fallback, error: Exception) -> bool:
        if fallback.on is not None:
            return isinstance(error, fallback.on)
        return isinstance(error, RateLimited) or self._parts.judge_error(error) is not None

    async def _fall_back(self, fallback: Fallback, error: Exception, deadline: Deadline | None) -> Any:
        guards = self._parts.guards
        try:
            answer = fallback.answer(error)
            if isawaitable(answer):
                if deadline is None:
                    answer = await answer
                else:
                    with Cut(self._parts.clock, deadline.remaining):
                        answer = await answer
        except Exception:
            guards.count(Event.FALLBACK_FAILED)
            raise
        guards.count(Event.FALLBACK)
        return answer

    # -- attempts ----------------------------------------------------------------------------------------------------

    async def _attempts(
        self, deadline: Deadline | None, function: Callable[..., Awaitable[T]], args: Any, kwargs: Any
    ) -> T:
        parts = self._parts
        course = Course(parts, deadline)
        hedge = parts.guards.hedge if parts.idempotent else None
        while True:
            attempt = Attempt(parts.guards)
            try:
                await attempt.enter(deadline)
                delay = None if hedge is None else hedge.delay
                if delay is None:
                    result = await self._run(attempt, course, None, function, args, kwargs)
                else:
                    result = await self._hedged(delay, attempt, course, function, args, kwargs)
            except Exception as error:
                if not course.failed(error, attempt):
                    raise
            else:
                if parts.judge_result is None or not course.answered(result):
                    return result
            await parts.clock.sleep(course.wait)

    async def _hedged(
        self,
        delay: float,
        attempt: Attempt,
        course: Course,
        function: Callable[..., Awaitable[T]],
        args: Any,
        kwargs: Any,
    ) -> T:
        parts = self._parts

        def second() -> Coroutine[Any, Any, T] | None:
            if not course.spend():
                return None
            parts.guards.count(Event.HEDGE)
            return self._second(course, function, args, kwargs)

        race: Race[T] = Race(parts.clock, parts.seconds(course.deadline), delay, second, parts.is_good)
        try:
            result = await self._run(attempt, course, race, function, args, kwargs)
        except asyncio.CancelledError:
            if race.won and race.take_over():
                return race.second_result()
            race.finish()
            raise
        except Exception:
            if await race.other():
                return race.second_result()
            raise
        if not parts.is_good(result) and await race.other():
            return race.second_result()
        race.finish()
        return result

    async def _second(self, course: Course, function: Callable[..., Awaitable[T]], args: Any, kwargs: Any) -> T:
        attempt = Attempt(self._parts.guards)
        await attempt.enter(course.deadline)
        result = await self._run(attempt, course, None, function, args, kwargs)
        self._parts.guards.count(Event.HEDGE_WON)
        return result

    async def _run(
        self,
        attempt: Attempt,
        course: Course,
        race: Race[T] | None,
        function: Callable[..., Awaitable[T]],
        args: Any,
        kwargs: Any,
    ) -> T:
        """Make the call of an attempt that has entered, within the time it has, and give it its verdict."""
        parts = self._parts
        cut: Cut | None = race
        if cut is None:
            seconds = parts.seconds(course.deadline)
            cut = None if seconds == math.inf else Cut(parts.clock, seconds)
        try:
            if cut is None:
                result = await function(*args, **kwargs)
            else:
                with cut:
                    result = await function(*args, **kwargs)
        except Exception as error:
            late = cut is not None and cut.fired
            attempt.leave(error, Failure.TIMED_OUT if late else parts.judge_error(error))
            raise
        except BaseException as error:
            attempt.leave(error, None, late=course.late, lost=race is not None and race.won)
            raise
        attempt.leave(None, None if parts.judge_result is None else parts.judge_result(result))
        return result


def _checked(deadline: float | None) -> float | None:
    if deadline is not None and not 0.0 < deadline < float("inf"):
        raise ValueError(f"deadline is {deadline}; give seconds above 0, or None.")
    return deadline
