"""A call in as many attempts as it takes and as are allowed.

    pick an instance that was not tried -> attempt -> a good answer?                                     done
    may this failure be repeated (kinema.resilience.retry)? did the request's caller leave a retry?
    is there somebody who was not tried? is there time? has the service's budget a token?                next attempt
    everybody was tried: once more, after a pause, and not before the time that Retry-After asks for
    else                                                                                                 give the failure up

Retry-After speaks for the instance that said it, so another one is asked at once. An attempt that may be repeated elsewhere gets
only a part of the time, so that a time-out leaves some for the next.

A hedged call sends a second copy to another instance when the first takes longer than 95 % of the last ones did. The first good
answer counts, the other attempt is called off. A copy costs a token of the budget, so it cannot make a slow service slower.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.metrics import Metrics
from kinema.core.spans import Spans
from kinema.http import Response
from kinema.model.discovery import Instance
from kinema.resilience import Deadline, FullJitter, HedgeDelay, RetryBudget
from kinema.resilience.headers import RETRY_AFTER, parse_retry_after
from kinema.resilience.retry import SAFE_METHODS, failure_of, may_retry, pause
from kinema.rpc.attempt import Attempts, Outgoing
from kinema.rpc.balance import Balancer
from kinema.rpc.budgets import Budgets
from kinema.rpc.retry import FIRST_ATTEMPT_SHARE, IDEMPOTENCY_KEY, MOST_RETRIES, failure_of_error
from kinema.rpc.serving import GRANTED, serving
from kinema.rpc.templates import route_of

_MOST_ROUTES = 1000

Result = Response | KinemaError


class Repeating:
    """Calls of one process. The gateway's proxy follows the same rules by callbacks."""

    def __init__(
        self, attempts: Attempts, balancer: Balancer, budgets: Budgets, clock: Clock, metrics: Metrics, spans: Spans
    ) -> None:
        self._attempts = attempts
        self._balancer = balancer
        self._budgets = budgets
        self._clock = clock
        self._metrics = metrics
        self._spans = spans
        self._backoff = FullJitter(base=0.02, most=0.2)
        self._delays: dict[str, HedgeDelay] = {}

    async def send(self, call: Outgoing, deadline: Deadline, *, hedge: bool = False) -> Response:
        """Return the answer, whatever its status. Raises Refused when nobody may be asked, and the errors of `kinema.http`."""
        budget = self._budgets.of(call.service)
        budget.called()
        repeating = _Repetition(call)
        result: Result | None = None
        while True:
            instance = self._balancer.pick(call.service, repeating.tried)
            if instance is None:
                result = result or self._balancer.refusal(call.service)
                break
            result = await self._once(instance, repeating, deadline, budget, hedge=hedge)
            wait = self._pause(repeating, result, deadline, budget)
            if wait is None:
                break
            self._metrics.counter(
                "kinema_retries_total", service=self._spans.context().service, peer=call.service
            ).add()
            await self._clock.sleep(wait)
        if isinstance(result, KinemaError):
            raise result
        return result

    # -- whether and when --------------------------------------------------------------------------------------------

    def _pause(self, repeating: "_Repetition", result: Result, deadline: Deadline, budget: RetryBudget) -> float | None:
        """Return the seconds until the next attempt, None when there shall be none. Takes what the attempt costs."""
        call, made = repeating.call, repeating.made
        failure = (
            failure_of_error(result)
            if isinstance(result, KinemaError)
            else failure_of(result.status, result.headers.get)
        )
        if failure is None or made > MOST_RETRIES:
            return None
        if not may_retry(call.method, failure, idempotency_key=repeating.keyed):
            return None
        request = serving()
        if request is not None and request.retries < 1:
            return None
        wait = self._backoff.wait(made - 2) if made > 1 else 0.0
        asked_for: float | None = None
        if self._balancer.pick(call.service, repeating.tried) is None:
            repeating.tried.clear()
            if self._balancer.pick(call.service) is None:
                return None
            wait = self._backoff.wait(made - 1)
            asked_for = None if isinstance(result, KinemaError) else self._retry_after(result)
        seconds = pause(wait, asked_for, deadline.remaining)
        if seconds is None or not budget.take():
            return None
        if request is not None:
            request.retries -= 1
        return seconds

    def _retry_after(self, answer: Response) -> float | None:
        value = answer.headers.get(RETRY_AFTER)
        return None if value is None else parse_retry_after(value, self._clock.now())

    # -- attempts ----------------------------------------------------------------------------------------------------

    async def _once(
        self, instance: Instance, repeating: "_Repetition", deadline: Deadline, budget: RetryBudget, *, hedge: bool
    ) -> Result:
        """Make the next attempt, hedged if that is wanted and may be done."""
        repeating.began_at(instance)
        seconds = deadline.remaining
        if repeating.again and self._balancer.pick(repeating.call.service, repeating.tried) is not None:
            seconds *= FIRST_ATTEMPT_SHARE
        if not hedge or not repeating.repeatable:
            return await self._attempt(instance, repeating.call, seconds, budget)
        delays = self._delays_of(repeating.call)
        first = self._measured(instance, repeating.call, seconds, budget, delays)
        if delays.delay is None or delays.delay >= seconds:
            return await first
        return await self._hedged(first, delays, repeating, seconds, budget)

    async def _hedged(
        self,
        first: Awaitable[Result],
        delays: HedgeDelay,
        repeating: "_Repetition",
        seconds: float,
        budget: RetryBudget,
    ) -> Result:
        delay = delays.delay or seconds
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(first)]
        late = asyncio.ensure_future(self._clock.sleep(delay))
        try:
            await asyncio.wait({tasks[0], late}, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done():
                other = self._balancer.pick(repeating.call.service, repeating.tried)
                if other is not None and budget.take():
                    repeating.began_at(other)
                    copy = self._measured(other, repeating.call, seconds - delay, budget, delays)
                    tasks.append(asyncio.ensure_future(copy))
            waiting = set(tasks)
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                results: list[Result] = [one.result() for one in done]  # both, when they end in the same moment
                result = next(filter(_is_good, results), results[0])
                if not waiting or _is_good(result):
                    return result
        finally:
            for one in (*tasks, late):
                one.cancel()
            await asyncio.gather(*tasks, late, return_exceptions=True)

    async def _measured(
        self, instance: Instance, call: Outgoing, seconds: float, budget: RetryBudget, delays: HedgeDelay
    ) -> Result:
        began = self._clock.monotonic()
        try:
            return await self._attempt(instance, call, seconds, budget)
        finally:
            delays.record(self._clock.monotonic() - began)

    async def _attempt(self, instance: Instance, call: Outgoing, seconds: float, budget: RetryBudget) -> Result:
        request = serving()
        granted = GRANTED if request is None else request.retries
        try:
            return await self._attempts.make(instance, call, seconds, min(granted, budget.left))
        except KinemaError as error:
            return error

    def _delays_of(self, call: Outgoing) -> HedgeDelay:
        route = f"{call.service} {route_of(call.method, call.path)}"
        found = self._delays.get(route)
        if found is None:
            if len(self._delays) >= _MOST_ROUTES:
                self._delays.clear()
            found = self._delays[route] = HedgeDelay()
        return found


class _Repetition:
    """A call and its attempts so far."""

    __slots__ = ("call", "keyed", "made", "repeatable", "tried")

    def __init__(self, call: Outgoing) -> None:
        self.call = call
        self.keyed = any(name == IDEMPOTENCY_KEY for name, _ in call.fields)
        self.repeatable = self.keyed or call.method in SAFE_METHODS
        self.tried: list[str] = []
        self.made = 0

    @property
    def again(self) -> bool:
        """Whether the call may be made again when its present attempt times out."""
        return self.repeatable and self.made <= MOST_RETRIES

    def began_at(self, instance: Instance) -> None:
        """An attempt is made."""
        self.made += 1
        self.tried.append(instance.address)


def _is_good(result: Result) -> bool:
    return not isinstance(result, KinemaError) and result.status < 500
