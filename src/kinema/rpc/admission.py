"""What stands before a service's routes: is there room for this request, and what holds for the calls that are made for it.

    too much to do     the request is refused by its class before any work (kinema.resilience.shedding): 503, Retry-After,
                       x-kinema-shed. How long it has waited tells line.py, how long it held the loop steps.py
    deadline           the caller waits so long and no longer: the work is ended then, and with it the calls it makes
    retries, class,    bound to the request, for its own calls and its log lines
    faults, trace
    the answer         says how much of what it can do this instance is doing (x-kinema-utilisation), so that callers balance

A request without a deadline (an upload, which takes as long as it takes) is neither refused for what is under way nor counted as
under way, and its time teaches the limit nothing. /healthz is always answered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from kinema.core import faults, log, priority, problem
from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import DeadlineExceeded, Forbidden
from kinema.core.keys import KeyRing
from kinema.core.priority import Priority
from kinema.resilience.deadline import HEADER as DEADLINE
from kinema.resilience.headers import MARKED, RETRY_AFTER, SHED, format_retry_after, parse_deadline
from kinema.resilience.shedding import LoadShedder
from kinema.rpc import serving
from kinema.rpc.balance import UTILISATION
from kinema.rpc.line import Line
from kinema.rpc.serving import Serving
from kinema.rpc.steps import Steps

_PRIORITY = priority.HEADER.encode()
_FAULT = faults.HEADER.encode()
_CPU_SECONDS = 1.0  # over how long the use of the CPU is measured


def admission(
    service: str, instance: str, keys: KeyRing, clock: Clock, shedder: LoadShedder
) -> Callable[[ASGIApp], ASGIApp]:
    """Return the middleware of one service instance."""
    line = Line(clock)
    load = _Load(clock, shedder)

    def wrap(app: ASGIApp) -> ASGIApp:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP or scope["path"] == "/healthz":
                await app(scope, receive, send)
                return
            headers = dict(scope["headers"])
            log.bind(service=service, instance=instance, trace_id=_trace_id(headers.get(tracing.TRACEPARENT)))
            deadline = headers.get(DEADLINE)
            allowance = None if deadline is None else parse_deadline(deadline)
            own = priority.priority_of(headers.get(_PRIORITY))
            own = Priority.DEGRADED if own is None else own
            waited = line.began()
            if allowance is not None and not shedder.admit(own, waited):
                await _refuse(scope, send, shedder, service, load.value())
                return

            async def reporting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (UTILISATION, load.value())]
                await send(message)

            request = Serving(clock, allowance)
            bound = serving.bind(request)
            classed = priority.current.set(own)
            faulty = faults.current.set(_carried(headers.get(_FAULT), keys, clock))
            began, late = clock.monotonic(), False
            steps = Steps(line.worked, clock.monotonic, app(scope, receive, reporting))
            try:
                await _within(None if allowance is None else allowance.seconds, steps)
            except DeadlineExceeded:
                late = True
                raise
            finally:
                request.ended = True
                serving.unbind(bound)
                priority.current.reset(classed)
                faults.current.reset(faulty)
                if allowance is not None:
                    shedder.finished(clock.monotonic() - began, dropped=late, held=steps.seconds)

        return handle

    return wrap


class _Load:
    """How much of what it can do the instance is doing: requests in its limit, or the use of one CPU by its process."""

    def __init__(self, clock: Clock, shedder: LoadShedder) -> None:
        self._monotonic = clock.monotonic
        self._shedder = shedder
        self._at = clock.monotonic()
        self._used = time.process_time()
        self._cpu = 0.0

    def value(self) -> bytes:
        now = self._monotonic()
        if now - self._at >= _CPU_SECONDS:
            used = time.process_time()
            self._cpu = (used - self._used) / (now - self._at)
            self._at, self._used = now, used
        return b"%.2f" % min(1.0, max(self._cpu, self._shedder.utilisation))


async def _refuse(scope: Scope, send: Send, shedder: LoadShedder, service: str, load: bytes) -> None:
    error = shedder.refusal(service)
    body = problem.encode(problem.problem_of(error, instance=scope["path"]))
    headers = [
        (b"content-type", problem.MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (RETRY_AFTER, format_retry_after(error.retry_after)),
        (SHED, MARKED),
        (UTILISATION, load),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _carried(sealed: bytes | None, keys: KeyRing, clock: Clock) -> faults.Carried | None:
    if sealed is None:
        return None
    try:
        return faults.unseal(sealed.decode("latin-1"), keys, clock.now())
    except Forbidden:
        return None  # forged or too old: as if it were not there


async def _within(seconds: float | None, work: Awaitable[None]) -> None:
    if seconds is None:
        await work
        return
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError as error:
        raise DeadlineExceeded("The caller's deadline passed while the request was worked on.") from error


def _trace_id(traceparent: bytes | None) -> str:
    """Return the id of the trace that the request belongs to, or an empty text."""
    found = tracing.current.get() or tracing.parse(traceparent)
    return found.trace_id if found else ""
