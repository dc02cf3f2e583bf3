"""The one way that a service calls another.

    deadline (no later than that of the request being served) -> fallback -> retries and hedging (repeating.py)
             -> for EACH attempt: an instance (balance/) with its breaker, limit and bulkhead -> fault point -> HTTP (attempt.py)

Every call carries who asks, the milliseconds left, the retries left, the class of the request, the trace, and a fault header if the
request has one. The gateway's proxy uses the same parts by callbacks.
"""

from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.identity import Identity, seal
from kinema.core.keys import KeyRing
from kinema.core.log import get_logger
from kinema.core.metrics import Metrics
from kinema.core.problem import error_of
from kinema.core.spans import Spans
from kinema.http import Client, Response
from kinema.http.errors import ResponseInvalid
from kinema.model.discovery import Instance
from kinema.rpc.attempt import Attempts, Outgoing
from kinema.rpc.badge import IDENTITY, Badge
from kinema.rpc.balance import Balancer
from kinema.rpc.budgets import Budgets
from kinema.rpc.directory import Directory
from kinema.rpc.repeating import Repeating
from kinema.rpc.serving import deadline_within, mark_from_below

T = TypeVar("T")

_STARTING_SECONDS = 2.0  # how long a call waits for a first instance of a service while a region starts
_log = get_logger(__name__)


class Rpc:
    """Calls services by name. `name` is the calling instance; it signs calls that are made on nobody's behalf.

    Each attempt is counted in `metrics` and is a span of the caller's trace. `service`, `instance` and `zone` say where the
    calls come from: by them the balancer knows who else calls, and which instances are near.
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
        *,
        service: str = "",
        instance: str = "",
        zone: str = "",
    ) -> None:
        self.directory = directory
        self.client = client
        self.balancer = Balancer(directory, clock, zone=zone, service=service, instance=instance)
        self.budgets = Budgets(clock)
        self.metrics = metrics or Metrics(name)
        self.spans = spans or Spans(clock, name, name)
        self._keys = keys
        self._clock = clock
        self._badge = Badge(name, keys, clock)
        self._attempts = Attempts(client, self.balancer, clock, self.metrics, self.spans)
        self._repeating = Repeating(self._attempts, self.balancer, self.budgets, clock, self.metrics, self.spans)

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
        hedge: bool = False,
        fallback: Callable[[KinemaError], T] | None = None,
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
        hedge: bool = False,
        fallback: Callable[[KinemaError], None] | None = None,
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
        hedge: bool = False,
        fallback: Callable[[KinemaError], Any] | None = None,
    ) -> Any:
        """Send `body` as JSON (None: no body) and return the answer as `type` (None: nothing is decoded).

        `identity` is forwarded; None calls as this instance. `hedge`: a call that changes nothing may be sent to a second
        instance when it is late. `fallback` makes an answer out of the error when the service cannot give one (not of an error
        that it gives on purpose, below 500). Raises the error that a problem+json answer stands for, Unavailable without an
        instance, CircuitOpen or LimitReached when nobody may be asked, DeadlineExceeded, or an error of `kinema.http`.
        """
        sent = b"" if body is None else msgspec.json.encode(body)
        try:
            answer = await self.request(
                service, method, path, sent, identity=identity, deadline_seconds=deadline_seconds, hedge=hedge
            )
            return _decoded(service, path, answer, type)
        except KinemaError as error:
            mark_from_below(error)
            if fallback is None or error.status < 500:
                raise
            self._fell_back(service, path, error)
            return fallback(error)

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
        hedge: bool = False,
    ) -> Response:
        """Send bytes (as JSON unless `headers` name a content type) and return the answer whatever its status.

        With an `idempotency-key` among the headers a call that changes something is repeated too.
        """
        try:
            deadline = deadline_within(self._clock, deadline_seconds)
            deadline.check(f"{method} {path} at {service}")
            if not self.directory.instances(service):
                await self.directory.wait_for(service, min(_STARTING_SECONDS, deadline.remaining))
            call = Outgoing(service, method, path, self._fields(body, headers, identity), body)
            return await self._repeating.send(call, deadline, hedge=hedge)
        except KinemaError as error:
            mark_from_below(error)
            raise

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
        call = Outgoing(instance.service, method, path, self._fields(b"", (), None))
        answer = await self._attempts.ask(instance, call, deadline_within(self._clock, deadline_seconds).remaining)
        decoded: T = _decoded(instance.service, path, answer, type)
        return decoded

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

    def _fell_back(self, service: str, path: str, error: KinemaError) -> None:
        caller = self.spans.context().service
        self.metrics.counter("kinema_fallbacks_total", service=caller, peer=service, reason=error.code).add()
        _log.info("answered without a service", service_missing=service, path=path, reason=error.code, error=str(error))


def _decoded(service: str, path: str, answer: Response, kind: Any) -> Any:
    if answer.status >= 300:
        raise error_of(answer.status, answer.body)
    if kind is None:
        return None
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise ResponseInvalid(f"{service} answered {path} with something else than was asked for: {error}.") from error
