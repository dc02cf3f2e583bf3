"""One attempt: rate limit, breaker, limit, bulkhead on the way in; one verdict for all of them on the way out.

    in     in this order; a part that refuses ends the attempt, and those before it get their permits back without a verdict
    out    answered, or the caller was wrong    breaker success    limit: its latency
           timed out, shed                      breaker failure    limit: dropped
           failed otherwise                     breaker failure    limit: its latency says nothing
           cancelled                            no verdict         limit: its latency says nothing

An attempt that the deadline cut off has timed out; one that was cancelled for any other reason says nothing about the callee.
"""

import math

from kinema.resilience.cut import Cut
from kinema.resilience.deadline import Deadline
from kinema.resilience.errors import BulkheadFull, CircuitOpen, LimitReached, RateLimited
from kinema.resilience.guards import Event, Guards
from kinema.resilience.rate_limit import RateLimiter
from kinema.resilience.retry import Failure


class Attempt:
    """`enter` before, exactly one `leave` after it unless `enter` raised."""

    __slots__ = ("_began", "_guards", "begun")

    def __init__(self, guards: Guards) -> None:
        self._guards = guards
        self._began = 0.0
        self.begun = False

    async def enter(self, deadline: Deadline | None) -> None:
        """Pass all guards. Raises RateLimited, CircuitOpen, LimitReached, BulkheadFull, DeadlineExceeded."""
        if deadline is not None:
            deadline.check("the call")
        guards = self._guards
        if guards.rate is not None:
            # Whoever must be asked elsewhere has no longer than the call.
            rate = guards.rate
            if isinstance(rate, RateLimiter):
                verdict = rate.take_now(guards.name)
            else:
                with Cut(guards.clock, math.inf if deadline is None else deadline.remaining):
                    verdict = await rate.take(guards.name)
            if not verdict.allowed:
                guards.count(Event.RATE_LIMITED)
                raise RateLimited(
                    f"The agreed rate of calls to {guards.name or 'this'} is used up; "
                    f"try again in {verdict.retry_after:.3g} s.",
                    retry_after=verdict.retry_after,
                )
        breaker, limiter, bulkhead = guards.breaker, guards.limiter, guards.bulkhead
        if breaker is not None and not breaker.allow():
            guards.count(Event.SHORT_CIRCUITED)
            raise CircuitOpen(f"Calls to {guards.name or 'this'} failed too often; try again in a few seconds.")
        if limiter is not None and not limiter.try_acquire():
            if breaker is not None:
                breaker.release()
            guards.count(Event.LIMIT_REACHED)
            raise LimitReached(
                f"{limiter.in_flight} calls to {guards.name or 'this'} are under way, which is its limit; try again."
            )
        if bulkhead is not None:
            try:
                await bulkhead.acquire(deadline)
            except BaseException as error:
                self._no_verdict(0.0)
                if isinstance(error, BulkheadFull):
                    guards.count(Event.BULKHEAD_FULL)
                raise
        self.begun = True
        guards.in_flight += 1
        self._began = guards.clock.monotonic()

    def leave(
        self, error: BaseException | None, failure: Failure | None, *, late: bool = False, lost: bool = False
    ) -> None:
        """Give the permits back with a verdict; `failure` judges an Exception or an answer.

        Of a cancellation, `late` says that time was up, `lost` that a second copy of the call was faster.
        """
        guards = self._guards
        now = guards.clock.monotonic()
        seconds = now - self._began
        guards.in_flight -= 1
        if guards.bulkhead is not None:
            guards.bulkhead.release()
        if error is not None and not isinstance(error, Exception):
            if not late:
                guards.counts.add(now, Event.CANCELLED)
                if lost and guards.hedge is not None:
                    guards.hedge.record(seconds)
                self._no_verdict(seconds)
                return
            failure = Failure.TIMED_OUT
        if failure is None:
            guards.counts.add(now, Event.SUCCESS if error is None else Event.BAD_REQUEST)
        else:
            guards.counts.add(now, Event.TIMEOUT if failure is Failure.TIMED_OUT else Event.FAILURE)
        if guards.hedge is not None and (failure is None or failure is Failure.TIMED_OUT):
            guards.hedge.record(seconds)
        if guards.breaker is not None:
            if failure is None:
                guards.breaker.success(seconds)
            else:
                guards.breaker.failure(seconds)
        if guards.limiter is not None:
            if failure is None:
                guards.limiter.release(seconds)
            elif failure is Failure.TIMED_OUT or failure is Failure.SHED:
                guards.limiter.release(seconds, dropped=True)
            else:
                guards.limiter.ignore()

    def _no_verdict(self, seconds: float) -> None:
        if self._guards.breaker is not None:
            self._guards.breaker.release(seconds)
        if self._guards.limiter is not None:
            self._guards.limiter.ignore()
