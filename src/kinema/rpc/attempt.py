"""One attempt of a call: the request is sent to one instance, once, and all who learn from it are told how it went.

    balancer.begin -> fault point -> HTTP -> balancer.end -> span and metrics

The fault point is named `rpc/SERVICE/INSTANCE/METHOD/path`. A fault is felt as a real one would be: it takes time and places, and
breakers and limits hear of it.
"""

from random import Random
from typing import NamedTuple

from kinema.core import faults, priority
from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.faults import Fault
from kinema.core.metrics import Metrics
from kinema.core.spans import SpanContext, Spans
from kinema.http import Client, ConnectFailed, ConnectionLost, Fields, Headers, Response, TimedOut
from kinema.model.discovery import Instance
from kinema.resilience import Deadline
from kinema.resilience.deadline import HEADER as DEADLINE
from kinema.resilience.headers import SHED, format_deadline, marked
from kinema.rpc.balance import Balancer, Outcome, outcome_of_error, outcome_of_status
from kinema.rpc.templates import route_of

_PRIORITY = priority.HEADER.encode()
_FAULT = faults.HEADER.encode()
_FAIR_SECONDS = 0.1  # who was given less and timed out has not failed
_LONGEST_TIMED_SECONDS = 60.0  # what may take longer says nothing about how fast an instance is


class Outgoing(NamedTuple):
    """What is sent; the same for each attempt. `fields` are those that do not change from one to the next."""

    service: str
    method: str
    path: str
    fields: Fields
    body: bytes = b""


class Attempts:
    """Makes the attempts of one process."""

    def __init__(self, client: Client, balancer: Balancer, clock: Clock, metrics: Metrics, spans: Spans) -> None:
        self._client = client
        self._balancer = balancer
        self._clock = clock
        self._metrics = metrics
        self._spans = spans
        self._draw = Random().random  # noqa: S311 (which passes a fault hits)

    async def make(self, instance: Instance, call: Outgoing, seconds: float, retries: int) -> Response:
        """Send a request to an instance that was just picked. `retries`: how many may be made further down.

        Raises the errors of `kinema.http`.
        """
        timed = seconds <= _LONGEST_TIMED_SECONDS
        began = self._spans.now()
        outcome, answered = Outcome.ABANDONED, None
        held = self._balancer.begin(instance, timed=timed)
        try:
            answer = await self.ask(instance, call, seconds, retries)
            answered = answer.headers
            outcome = outcome_of_status(answer.status, shed=marked(answered.get(SHED)))
        except KinemaError as error:
            unfair = isinstance(error, TimedOut) and seconds < _FAIR_SECONDS
            outcome = Outcome.ABANDONED if unfair else outcome_of_error(error)
            raise
        finally:
            taken = self._spans.now() - began if timed else None
            self._balancer.end(held, outcome, taken, answered)
        return answer

    async def ask(self, instance: Instance, call: Outgoing, seconds: float, retries: int = 0) -> Response:
        """Send a request to any instance, past the balancer."""
        context, span_id = self._context(), tracing.new_span_id()
        began, status = self._spans.now(), 0
        try:
            answer = await self._send(instance, call, seconds, retries, context, span_id)
            status = answer.status
        except TimedOut as error:
            status = error.status
            what = f"{call.method} {call.path}"
            raise TimedOut(f"{instance.service} did not answer {what} within {seconds:.1f} s.") from error
        except KinemaError as error:
            status = error.status
            raise
        finally:
            self._record(context, span_id, instance, route_of(call.method, call.path), began, status)
        return answer

    async def _send(
        self, instance: Instance, call: Outgoing, seconds: float, retries: int, context: SpanContext, span_id: str
    ) -> Response:
        deadline = Deadline(self._clock, seconds)
        headers = [*call.fields, *tracing.fields(context, span_id), (_PRIORITY, priority.current.get().header)]
        carried = faults.current.get()
        if carried is not None:
            headers.append((_FAULT, carried.sealed))
            point = f"rpc/{instance.service}/{instance.instance}/{call.method}{call.path}"
            fault = faults.fault_of(carried, point, self._draw)
            if fault is not None and (played := await self._play(fault, instance, deadline)) is not None:
                return played
        headers.append((DEADLINE, format_deadline(deadline, retries)))
        return await self._client.fetch(
            instance.address, call.method, call.path, headers, call.body, timeout=deadline.remaining
        )

    async def _play(self, fault: Fault, instance: Instance, deadline: Deadline) -> Response | None:
        """Delay or fail an attempt as a fault says; None: it goes on."""
        await self._clock.sleep(min(fault.delay, deadline.remaining))
        where = f"{instance.service}, by the fault {fault.point!r}"
        if deadline.passed:
            raise TimedOut(f"No answer in time from {where}.")
        if fault.failure == "connect":
            raise ConnectFailed(f"No connection to {where}.")
        if fault.failure == "lost":
            raise ConnectionLost(f"The connection was lost to {where}.", before_head=True)
        return Response(fault.status, Headers({}), b"") if fault.status else None

    def _context(self) -> SpanContext:
        """Return what the call is part of; a call that nobody waits for is a trace of its own that is not recorded."""
        found = self._spans.context()
        if found.trace_id:
            return found
        return SpanContext(tracing.new_trace_id(), "", found.service, found.instance, sampled=False)

    def _record(
        self, context: SpanContext, span_id: str, instance: Instance, route: str, began: float, status: int
    ) -> None:
        red = self._metrics.red("client", route, instance.service, service=context.service)
        red.record(self._spans.now() - began, status, context.trace_id if context.sampled else "")
        facts = {"peer.service": instance.service, "server.address": instance.address}
        self._spans.record(context, span_id, route, "client", began, status, facts)
