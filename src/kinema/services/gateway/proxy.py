"""The endpoint that hands a request to a service and its answer back, both streamed, by callbacks, without a task.

pick an instance -> send -> head -> body                           (small answers are sent in one piece)
no connection made, or a safe method failed before its answer:     the next instance that was not tried yet,
                                                                   under the retry budget (rpc/retry.py)
a client that reads slowly pauses the service; a service that reads slowly pauses the client
a service that is lost in mid-answer cuts the client off; before that, it is 502, 503 or 504
"""

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, DeadlineExceeded, KinemaError, Unavailable
from kinema.http import (
    Call,
    Client,
    ConnectFailed,
    ConnectionLost,
    Headers,
    PoolFull,
    ResponseInvalid,
    TimedOut,
    Upload,
)
from kinema.model.discovery import Instance
from kinema.resilience import RetryBudget
from kinema.resilience.errors import Refused
from kinema.resilience.headers import SHED, marked
from kinema.resilience.shedding import Shed
from kinema.rpc.balance import Balancer, Outcome, outcome_of_error, outcome_of_status
from kinema.rpc.retry import retryable_error, retryable_status
from kinema.services.gateway.errors import BadGateway
from kinema.services.gateway.observing import next_call
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.status import StatusCategory, category_of_error, category_of_refusal, category_of_status

_SMALL_BYTES = 64 * 1024  # answers up to here are gathered and sent whole, bodies up to here come at once
_LONGEST_TIMED_SECONDS = 60.0  # what may take longer (maintenance) says nothing about how fast an instance is
_STALLED_SECONDS = 60.0  # longest pause of a service in mid-answer, of a client in mid-upload


class Proxy:
    """Calls services on behalf of clients."""

    def __init__(self, client: Client, balancer: Balancer, budget: RetryBudget, clock: Clock) -> None:
        self.client = client
        self.balancer = balancer
        self.budget = budget
        self.now = clock.monotonic

    def __call__(self, passage: Passage) -> None:
        """Endpoint: relay the request."""
        route = passage.lane.route
        at_once = not route.streaming and _comes_at_once(passage)
        if at_once:
            passage.outgoing.append(passage.lane.deadline)
        self.budget.called()
        Relay(self, passage, timed=at_once and route.seconds <= _LONGEST_TIMED_SECONDS).begin()


class Relay:
    """One request being relayed; the sink of its present call. `upgrade` is what the service is offered (websocket.py)."""

    upgrade = b""

    __slots__ = (
        "_began",
        "_body_ended",
        "_call",
        "_gathered",
        "_headers",
        "_instance",
        "_lines",
        "_passage",
        "_proxy",
        "_replay",
        "_seconds",
        "_status",
        "_timed",
        "_tried",
        "_uploads",
    )

    def __init__(self, proxy: Proxy, passage: Passage, *, timed: bool) -> None:
        self._proxy = proxy
        self._timed = timed
        self._passage = passage
        self._tried: list[str] | None = None
        self._instance: Instance | None = None  # of the attempt that is under way
        self._began = 0.0
        self._seconds: float | None = None  # from the beginning of a timed attempt to the head of its answer
        self._call: Call | None = None
        self._status = 0
        self._headers: Headers | None = None
        self._lines = b"".join(passage.outgoing)
        self._gathered: list[bytes] | None = None
        self._uploads = passage.exchange.has_body
        self._replay: list[bytes] | None = [] if self._uploads else None
        self._body_ended = False

    def begin(self) -> None:
        """Send the request to a first instance and let the client's body flow."""
        exchange = self._passage.exchange
        if not self._send():
            return
        exchange.on_disconnect = self._over
        if self._uploads:
            limit = self._passage.lane.route.body_bytes
            exchange.read_body(self._body_data, self._body_end, limit=limit)

    # -- towards the service -----------------------------------------------------------------------------------------

    def _send(self) -> bool:
        """Begin an attempt; False when the request was answered instead."""
        proxy, passage = self._proxy, self._passage
        exchange, route = passage.exchange, passage.lane.route
        instance = self._pick()
        if instance is None:
            refusal = proxy.balancer.refusal(route.service, self._tried or ())
            passage.category = category_of_refusal(refusal)
            passage.refuse(_as_gateway(refusal, route.service))
            return False
        try:
            self._call = proxy.client.send(
                instance.address,
                exchange.method,
                exchange.target,
                self._lines,
                self,
                body=Upload(exchange.body_length) if self._uploads else b"",
                timeout=route.seconds,
                upgrade=self.upgrade,
            )
        except ValueError as error:
            passage.refuse(BadInput(f"The request cannot be passed on: {error}"))
            return False
        self._instance = instance
        self._began = proxy.now()
        self._seconds = None
        proxy.balancer.begin(instance, timed=self._timed)
        if passage.events is not None:
            passage.note(f"picked-{instance.instance}")
            passage.note("sent" if self._call.connection is not None else "connecting")
        if self._uploads:
            self._call.on_writable = self._service_takes
        return True

    def _pick(self) -> Instance | None:
        """Choose an instance that was not tried yet; those to be avoided only when there is no other."""
        balancer, service, avoid = self._proxy.balancer, self._passage.lane.route.service, self._passage.avoid
        tried = self._tried or ()
        if avoid and (found := balancer.pick(service, (*avoid, *tried))) is not None:
            return found
        return balancer.pick(service, tried)

    def _again(self) -> bool:
        """Send the request to another instance if there is one and the budget allows it."""
        proxy, instance = self._proxy, self._instance
        if instance is None:
            return False
        self._tried = [*(self._tried or ()), instance.address]
        if self._uploads and self._replay is None:
            return False
        if self._pick() is None or not proxy.budget.take():
            return False
        self._lines = next_call(self._passage, self._lines)
        self._passage.lane.records.retries.add()
        self._passage.note("again")
        if self._send():
            self._repeat_body()
        return True

    def _repeat_body(self) -> None:
        """Give the new attempt what the last one was given and never sent."""
        call, replay = self._call, self._replay
        if call is None or replay is None:
            return
        taken = True
        for chunk in replay:
            taken = call.write(chunk)
        if self._body_ended:
            call.finish()
        elif replay and taken:
            self._service_takes()

    def _body_data(self, chunk: bytes) -> None:
        call = self._call
        if call is None or call.done:
            return
        if self._replay is not None:
            self._replay.append(chunk)
        call.expire_in(_STALLED_SECONDS)
        if not call.write(chunk):
            self._passage.exchange.pause_body()
        elif self._replay is not None:
            self._replay = None  # there is a connection, and the bytes are on it

    def _body_end(self) -> None:
        self._body_ended = True
        if self._call is not None and not self._call.done:
            self._call.expire_in(self._passage.lane.route.seconds)
            self._call.finish()

    def _service_takes(self) -> None:
        self._replay = None
        self._passage.exchange.resume_body()

    # -- from the service: the sink ----------------------------------------------------------------------------------

    def on_head(self, status: int, headers: Headers) -> None:
        """Sink: begin the answer, or gather a small one."""
        passage = self._passage
        method = passage.exchange.method
        if passage.events is not None:
            passage.note("first-byte")
        if self._timed:
            self._seconds = self._proxy.now() - self._began
        if retryable_status(method, status) and self._again_instead(status, headers):
            return
        self._status = status
        self._headers = headers
        passage.category = StatusCategory.SUCCESS if status < 400 else category_of_status(status)
        length = headers.get(b"content-length")
        if length is not None and len(length) < 6 and int(length) <= _SMALL_BYTES and method != "HEAD":
            self._gathered = []
            return
        if status in {204, 304}:
            self._gathered = []
            return
        passage.start(status, headers, None if length is None else int(length), self._client_takes)
        if passage.exchange.finished:  # a filter has put a whole answer in its place
            self._over()
        elif self._call is not None:
            self._call.expire_in(_STALLED_SECONDS)

    def on_data(self, chunk: bytes) -> None:
        """Sink: pass a piece on; a client that does not take it pauses the service."""
        if self._gathered is not None:
            self._gathered.append(chunk)
            return
        call = self._call
        if call is None:
            return
        if self._passage.write(chunk):
            call.expire_in(_STALLED_SECONDS)
        else:
            call.expire_in(None)  # now the server's own limit on slow readers holds
            call.pause()

    def on_end(self) -> None:
        """Sink: the answer is complete."""
        shed = self._headers is not None and marked(self._headers.get(SHED))
        self._settle(outcome_of_status(self._status, shed=shed), self._status)
        self._call = None
        passage = self._passage
        passage.exchange.on_disconnect = None
        gathered = self._gathered
        if gathered is None:
            passage.finish()
        elif self._headers is not None:
            body = gathered[0] if len(gathered) == 1 else b"".join(gathered)
            passage.reply(self._status, self._headers, body)

    def on_error(self, error: KinemaError) -> None:
        """Sink: try another instance, or tell the client."""
        self._settle(outcome_of_error(error), error.status)
        self._call = None
        passage = self._passage
        if not passage.exchange.answered and retryable_error(passage.exchange.method, error) and self._again():
            return
        passage.exchange.on_disconnect = None
        passage.category = category_of_error(error)
        passage.refuse(_as_gateway(error, passage.lane.route.service))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _again_instead(self, status: int, headers: Headers) -> bool:
        """Leave an answer that another instance may better; False: there is none, take this answer."""
        call, instance, seconds = self._call, self._instance, self._seconds
        began, call_id = self._began, self._passage.call_id
        if not self._again():
            return False
        if call is not None:
            call.cancel()
        if instance is not None:
            outcome = outcome_of_status(status, shed=marked(headers.get(SHED)))
            self._proxy.balancer.end(instance, outcome, seconds, headers)
            self._passage.lane.ledger.observing.attempted(self._passage, call_id, instance, began, status)
        return True

    def _settle(self, outcome: Outcome, status: int) -> None:
        """Tell the balancer how the present attempt went, and record it; `status` 0 when it was given up."""
        if self._instance is None:
            return
        passage = self._passage
        passage.lane.ledger.observing.attempted(passage, passage.call_id, self._instance, self._began, status)
        seconds = self._seconds
        if self._timed and seconds is None:
            seconds = self._proxy.now() - self._began
        self._proxy.balancer.end(self._instance, outcome, seconds, self._headers)

    def _client_takes(self) -> None:
        if self._call is not None:
            self._call.expire_in(_STALLED_SECONDS)
            self._call.resume()

    def _over(self) -> None:
        """The client is gone, or its answer was cut off or came from elsewhere."""
        self._passage.abandoned(begun=self._status != 0)
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
            self._settle(Outcome.ABANDONED, 0)


def _comes_at_once(passage: Passage) -> bool:
    """Say whether the body is too small to take time, so that the service may count its deadline from the head on."""
    exchange = passage.exchange
    length = exchange.body_length
    return not exchange.has_body or (length is not None and length <= _SMALL_BYTES)


def _as_gateway(error: KinemaError, service: str) -> KinemaError:
    """Say of a failed call what a client can use, without addresses of instances."""
    if isinstance(error, ConnectFailed):
        return BadGateway(f"The {service} service cannot be reached right now; try again in a moment.")
    if isinstance(error, ConnectionLost):
        return BadGateway(f"The {service} service went away before it answered; try again in a moment.")
    if isinstance(error, ResponseInvalid):
        return BadGateway(f"The {service} service gave an answer that cannot be used; tell the operator.")
    if isinstance(error, PoolFull):
        return Unavailable(f"The {service} service is busy; try again in a moment.")
    if isinstance(error, TimedOut):
        return DeadlineExceeded(f"The {service} service did not answer in time; try again.")
    if isinstance(error, Refused):
        return Shed(str(error), retry_after=error.retry_after)
    return error
