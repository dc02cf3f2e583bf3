"""The one way that a service calls another.

    deadline ->  for EACH attempt: live instances -> not yet tried -> choice of two -> HTTP
             ->  a failure that may be retried (see retry.py), an untried instance, a token of the budget: next attempt

Every call carries who asks, the milliseconds left and the trace. The gateway's proxy uses the same parts by callbacks.
"""

from typing import Any, TypeVar, overload

import msgspec

from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.identity import Identity, seal
from kinema.core.keys import KeyRing
from kinema.core.metrics import Metrics
from kinema.core.problem import error_of
from kinema.core.spans import SpanContext, Spans
from kinema.http import Client, Response, TimedOut
from kinema.http.errors import ResponseInvalid
from kinema.model.discovery import Instance
from kinema.resilience import Deadline, FullJitter, RetryBudget
from kinema.resilience.deadline import HEADER as DEADLINE
from kinema.resilience.headers import SHED, marked
from kinema.rpc.badge import IDENTITY, Badge
from kinema.rpc.balance import Balancer, Outcome, outcome_of_error, outcome_of_status
from kinema.rpc.directory import Directory
from kinema.rpc.retry import retryable_error, retryable_status
from kinema.rpc.templates import route_of

T = TypeVar("T")

_STARTING_SECONDS = 2.0  # how long a call waits for a first instance of a service while a region starts


class Rpc:
    """Calls services by name. `name` is the calling instance; it signs calls that are made on nobody's behalf.

    Each attempt is counted in `metrics` and is a span of the caller's trace.
    """

    def __init__(
        self,
        directory: Directory,
        client: Client,
        keys: KeyRing,
        clock: Clock,
        name: str,
        metrics: Metrics | None = None,
        spans: Spans | None = None,
    ) -> None:
        self.directory = directory
        self.client = client
        self.balancer = Balancer(directory, clock)
        self.budget = RetryBudget(clock)
        self._keys = keys
        self._clock = clock
        self._badge = Badge(name, keys, clock)
        self.metrics = metrics or Metrics(name)
        self.spans = spans or Spans(clock, name, name)
        self._backoff = FullJitter(base=0.02, most=0.2)

    @overload
    async def call(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        *,
        type: type[T],
        identity: Identity | None = None,
        deadline_seconds: float = 5.0,
    ) -> T: ...

    @overload
    async def call(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        *,
        type: None = None,
        identity: Identity | None = None,
        deadline_seconds: float = 5.0,
    ) -> None: ...

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        *,
        type: Any = None,  # noqa: A002 (it is the type)
        identity: Identity | None = None,
        deadline_seconds: float = 5.0,
    ) -> Any:
        """Send `body` as JSON (None: no body) and return the answer as `type` (None: nothing is decoded).

        `identity` is forwarded; None calls as this instance. Raises the error that a problem+json answer stands for,
        Unavailable without an instance, DeadlineExceeded, or an error of `kinema.http`.
        """
        sent = b"" if body is None else msgspec.json.encode(body)
        answer = await self.request(service, method, path, sent, identity=identity, deadline_seconds=deadline_seconds)
        return _decoded(service, path, answer, type)

    async def request(
        self,
        service: str,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        identity: Identity | None = None,
        deadline_seconds: float = 5.0,
    ) -> Response:
        """Send bytes (as JSON unless `headers` name a content type) and return the answer whatever its status."""
        deadline = Deadline(self._clock, deadline_seconds)
        if not self.directory.instances(service):
            await self.directory.wait_for(service, min(_STARTING_SECONDS, deadline.remaining))
        fields = self._fields(body, headers, identity)
        self.budget.called()
        tried: list[str] = []
        while True:
            instance = self.balancer.pick(service, tried)
            if instance is None:
                raise self.balancer.refusal(service, tried)
            tried.append(instance.address)
            try:
                answer = await self._attempt(instance, method, path, fields, body, deadline)
            except KinemaError as error:
                if not retryable_error(method, error) or not self._again(service, tried):
                    raise
            else:
                if not retryable_status(method, answer.status) or not self._again(service, tried):
                    return answer
            if len(tried) > 1:
                await self._clock.sleep(min(self._backoff.wait(len(tried) - 2), deadline.remaining))
            deadline.check(f"{method} {path} at {service}")

    async def call_at(
        self,
        instance: Instance,
        method: str,
        path: str,
        *,
        type: type[T],  # noqa: A002 (it is the type)
        deadline_seconds: float = 2.0,
    ) -> T:
        """Ask one certain instance, once: for questions to each instance of a service."""
        deadline = Deadline(self._clock, deadline_seconds)
        answer = await self._attempt(instance, method, path, self._fields(b"", (), None), b"", deadline)
        decoded: T = _decoded(instance.service, path, answer, type)
        return decoded

    async def _attempt(
        self,
        instance: Instance,
        method: str,
        path: str,
        fields: list[tuple[bytes, bytes]],
        body: bytes,
        deadline: Deadline,
    ) -> Response:
        left = deadline.remaining
        context, span_id = self._context(), tracing.new_span_id()
        headers = [*fields, *tracing.fields(context, span_id), (DEADLINE, deadline.header())]
        began, status = self.spans.now(), 0
        outcome, answered = Outcome.ABANDONED, None
        self.balancer.begin(instance)
        try:
            answer = await self.client.fetch(instance.address, method, path, headers, body, timeout=left)
            status, answered = answer.status, answer.headers
            outcome = outcome_of_status(status, shed=marked(answered.get(SHED)))
        except KinemaError as error:
            status, outcome = error.status, outcome_of_error(error)
            if isinstance(error, TimedOut):
                raise TimedOut(f"{instance.service} did not answer {method} {path} within {left:.1f} s.") from error
            raise
        finally:
            self.balancer.end(instance, outcome, self.spans.now() - began, answered)
            self._record(context, span_id, instance, route_of(method, path), began, status)
        return answer

    def _fields(
        self, body: bytes, headers: tuple[tuple[bytes, bytes], ...], identity: Identity | None
    ) -> list[tuple[bytes, bytes]]:
        fields = list(headers)
        if identity is None:
            fields.append(self._badge.header())
        else:
            fields.append((IDENTITY, seal(identity, self._keys).encode()))
        if body and not any(name == b"content-type" for name, _ in headers):
            fields.append((b"content-type", b"application/json"))
        return fields

    def _context(self) -> SpanContext:
        """Return what the call is part of; a call that nobody waits for is a trace of its own that is not recorded."""
        found = self.spans.context()
        if found.trace_id:
            return found
        return SpanContext(tracing.new_trace_id(), "", found.service, found.instance, sampled=False)

    def _record(
        self, context: SpanContext, span_id: str, instance: Instance, route: str, began: float, status: int
    ) -> None:
        red = self.metrics.red("client", route, instance.service, service=context.service)
        red.record(self.spans.now() - began, status, context.trace_id if context.sampled else "")
        facts = {"peer.service": instance.service, "server.address": instance.address}
        self.spans.record(context, span_id, route, "client", began, status, facts)

    def _again(self, service: str, tried: list[str]) -> bool:
        """Whether another instance is there to be tried, and the budget allows it."""
        return self.balancer.pick(service, tried) is not None and self.budget.take()


def _decoded(service: str, path: str, answer: Response, kind: Any) -> Any:
    if answer.status >= 300:
        raise error_of(answer.status, answer.body)
    if kind is None:
        return None
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise ResponseInvalid(f"{service} answered {path} with something else than was asked for: {error}.") from error
