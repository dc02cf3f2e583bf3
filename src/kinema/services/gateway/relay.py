"""One request on its way to a service and its answer on the way back, by callbacks, without a task.

pick an instance -> fault point -> send -> head -> body             (small answers are sent in one piece)
a failure that may be repeated (kinema.resilience.retry):           the next instance that was not tried yet, under the budgets;
                                                                    as rpc does it (rpc/repeating.py), but without hedging
a client that reads slowly pauses the service; a service that reads slowly pauses the client
a service that is lost in mid-answer cuts the client off; before that, it is 502, 503 or 504

A request whose body is small is held until its answer begins, so that it can be repeated; a larger one streams through and can be
repeated only while nothing of it was sent.
"""

from functools import partial
from typing import TYPE_CHECKING

from kinema.core.clock import Timer
from kinema.core.errors import BadInput, KinemaError
from kinema.core.faults import Carried, Fault, fault_of
from kinema.http import (
    Call,
    ConnectFailed,
    ConnectionLost,
    Headers,
    TimedOut,
    Upload,
    encode_fields,
)
from kinema.model.discovery import Instance
from kinema.resilience.deadline import HEADER as DEADLINE
from kinema.resilience.errors import Refused
from kinema.resilience.headers import MARKED, RETRY_AFTER, SHED, marked, parse_retry_after
from kinema.resilience.retry import SAFE_METHODS, Failure, failure_of, may_retry, pause
from kinema.rpc.balance import Held, Outcome, outcome_of_error, outcome_of_status
from kinema.rpc.budgets import Budgets
from kinema.rpc.retry import FIRST_ATTEMPT_SHARE, IDEMPOTENCY_KEY, MOST_RETRIES, failure_of_error
from kinema.rpc.serving import GRANTED
from kinema.services.gateway.errors import as_gateway
from kinema.services.gateway.observing import next_call
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route
from kinema.services.gateway.status import StatusCategory, category_of_error, category_of_refusal, category_of_status

if TYPE_CHECKING:
    from kinema.services.gateway.proxy import Proxy

_SMALL_BYTES = 64 * 1024  # answers up to here are gathered and sent whole, bodies up to here come at once
_LONGEST_TIMED_SECONDS = 60.0  # what may take longer (maintenance) says nothing about how fast an instance is
_STALLED_SECONDS = 60.0  # longest pause of a service in mid-answer, of a client in mid-upload
_SHED_LINE = encode_fields(((SHED, MARKED),))


class Relayed:
    """What all requests of a route have in common for those who relay them."""

    __slots__ = ("alone", "among_others", "budget", "first_seconds", "seconds", "service", "streaming", "timed")

    def __init__(self, route: Route, budgets: Budgets) -> None:
        self.service = route.service
        self.budget = budgets.of(route.service)
        self.seconds = route.seconds
        self.first_seconds = route.seconds * FIRST_ATTEMPT_SHARE
        self.streaming = route.streaming
        self.timed = not route.streaming and route.seconds <= _LONGEST_TIMED_SECONDS
        self.alone = _deadline(self.seconds, GRANTED)
        """The encoded field of a first attempt that has all the time."""
        self.among_others = _deadline(self.first_seconds, GRANTED)
        """Likewise, when another instance could still answer after it."""


class Relay:
    """One request being relayed; the sink of its present call. `upgrade` is what the service is offered (websocket.py)."""

    upgrade = b""

    _tried: list[str] | None = None
    _instance: Instance | None = None  # of the attempt that is under way
    _held: Held = None  # by that, of the balancer
    _made = 0
    _uploads = False
    _timer: Timer | None = None  # until the next attempt
    _first_began = 0.0
    _began = 0.0
    _seconds: float | None = None  # from the beginning of a timed attempt to the head of its answer
    _call: Call | None = None
    _status = 0
    _headers: Headers | None = None
    _gathered: list[bytes] | None = None
    _replay: list[bytes] | None = None
    _body_ended = False

    def __init__(self, proxy: "Proxy", passage: Passage) -> None:
        lane = passage.lane
        self._proxy = proxy
        self._passage = passage
        self._route = route = lane.relayed or proxy.relayed(lane)
        self._lines = b"".join(passage.outgoing)
        if passage.exchange.declared == 0:
            self._at_once = not route.streaming
            self._timed = route.timed
        else:
            self._uploads = True
            self._replay = []
            self._at_once = not route.streaming and _comes_at_once(passage)
            self._timed = route.timed and self._at_once

    def begin(self) -> None:
        """Send the request to a first instance and let the client's body flow."""
        exchange = self._passage.exchange
        self._route.budget.called()
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
        balancer = proxy.balancer
        instance = self._pick() if self._made or passage.avoid else balancer.pick(self._route.service)
        if instance is None:
            self._refuse(balancer.refusal(self._route.service, self._tried or ()))
            return False
        self._instance = instance
        self._began = now = proxy.now()
        if not self._made:
            self._first_began = now
        self._made += 1
        self._seconds = None
        self._held = balancer.begin(instance, timed=self._timed)
        if passage.faults is not None and self._is_faulty(passage.faults, instance):
            return True
        return self._open(instance)

    def _pick(self) -> Instance | None:
        """Choose an instance that was not tried yet; those to be avoided only when there is no other."""
        balancer, service, avoid = self._proxy.balancer, self._route.service, self._passage.avoid
        tried = self._tried or ()
        if avoid and (found := balancer.pick(service, (*avoid, *tried))) is not None:
            return found
        return balancer.pick(service, tried)

    def _open(self, instance: Instance) -> bool:
        proxy, passage = self._proxy, self._passage
        exchange = passage.exchange
        lines, route = self._lines, self._route
        if self._made > 1:
            seconds = self._attempt_seconds()
            if self._at_once:
                lines += _deadline(seconds, min(GRANTED + 1 - self._made, route.budget.left))
        elif self._leaves_time():
            seconds = route.first_seconds
            if self._at_once:
                lines += route.among_others
        else:
            seconds = route.seconds
            if self._at_once:
                lines += route.alone
        try:
            self._call = call = proxy.client.send(
                instance.address,
                exchange.method,
                exchange.target,
                lines,
                self,
                body=Upload(exchange.body_length) if self._uploads else b"",
                timeout=seconds,
                upgrade=self.upgrade,
            )
        except ValueError as error:
            self._settle(Outcome.ABANDONED)
            passage.refuse(BadInput(f"The request cannot be passed on: {error}"))
            return False
        if passage.events is not None:
            passage.note(f"picked-{instance.instance}")
            passage.note("sent" if call.connection is not None else "connecting")
        if self._uploads:
            call.on_writable = self._service_takes
            if self._replay or self._body_ended:
                self._repeat_body()
        return True

    def _attempt_seconds(self) -> float:
        """Return the time for this attempt: a part of what is left while another instance could still answer after it."""
        left = self._left()
        return left * FIRST_ATTEMPT_SHARE if self._leaves_time() else left

    def _leaves_time(self) -> bool:
        """Say whether another instance is to be asked if this attempt takes too long."""
        return (
            self._made <= MOST_RETRIES
            and self._passage.exchange.method in SAFE_METHODS
            and self._proxy.balancer.count(self._route.service) > 1
        )

    def _left(self) -> float:
        """Return the time that is left; while a long body comes it does not pass."""
        seconds = self._route.seconds
        if self._made > 1 and self._at_once:
            seconds -= self._proxy.now() - self._first_began
        return seconds

    def _again(self, failure: Failure, headers: Headers | None = None) -> bool:
        """Arrange another attempt if this failure may be repeated, somebody is there, and time and budgets allow it."""
        proxy, exchange, instance = self._proxy, self._passage.exchange, self._instance
        if instance is None or self._made > MOST_RETRIES or (self._uploads and self._replay is None):
            return False
        if not may_retry(exchange.method, failure, idempotency_key=IDEMPOTENCY_KEY in exchange.headers):
            return False
        tried = self._tried = [*(self._tried or ()), instance.address]
        wait = proxy.backoff.wait(self._made - 2) if self._made > 1 else 0.0
        asked_for = None
        if self._pick() is None:
            tried.clear()
            if self._pick() is None:
                return False
            wait = proxy.backoff.wait(self._made - 1)
            value = None if headers is None else headers.get(RETRY_AFTER)
            asked_for = None if value is None else parse_retry_after(value, proxy.clock.now())
        seconds = pause(wait, asked_for, self._left())
        if seconds is None or not self._route.budget.take():
            return False
        self._passage.lane.records.retries.add()
        self._passage.note("again")
        self._timer = proxy.clock.call_later(seconds, self._send_again)
        return True

    def _send_again(self) -> None:
        self._timer = None
        self._lines = next_call(self._passage, self._lines)
        self._send()

    def _is_faulty(self, carried: Carried, instance: Instance) -> bool:
        """Say whether a fault is to be felt at this attempt, and see to it."""
        exchange, proxy = self._passage.exchange, self._proxy
        point = f"gateway/{instance.service}/{instance.instance}/{exchange.method}{self._passage.path}"
        fault = fault_of(carried, point, proxy.draw)
        if fault is None:
            return False
        seconds = self._attempt_seconds()
        late = fault.delay >= seconds
        play = partial(self._play, fault, instance, late=late)
        self._timer = proxy.clock.call_later(seconds if late else fault.delay, play)
        return True

    def _play(self, fault: Fault, instance: Instance, *, late: bool) -> None:
        self._timer = None
        if late:
            self.on_error(TimedOut(f"No answer in time, by the fault {fault.point!r}."))
        elif fault.failure == "connect":
            self.on_error(ConnectFailed(f"No connection, by the fault {fault.point!r}."))
        elif fault.failure == "lost":
            self.on_error(ConnectionLost(f"The connection was lost, by the fault {fault.point!r}.", before_head=True))
        elif fault.status:
            self.on_head(fault.status, Headers({b"content-length": b"0"}))
            if self._timer is None:  # no other attempt follows
                self.on_end()
        else:
            self._open(instance)

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
        if self._replay is not None:
            self._replay.append(chunk)
        if call is None or call.done:
            if self._timer is not None and not self._at_once:
                self._passage.exchange.pause_body()  # until the next attempt takes it
            return
        call.expire_in(_STALLED_SECONDS)
        if not call.write(chunk):
            self._passage.exchange.pause_body()
        elif not self._at_once:
            self._replay = None  # there is a connection, and the bytes are on it

    def _body_end(self) -> None:
        self._body_ended = True
        if self._call is not None and not self._call.done:
            self._call.expire_in(self._attempt_seconds())
            self._call.finish()

    def _service_takes(self) -> None:
        if not self._at_once:
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
        if status >= 400:
            failure = failure_of(status, headers.get)
            if failure is not None and self._again_instead(failure, status, headers):
                return
        self._replay = None
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

    def on_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Sink: a small answer in one piece, the usual one; what is not usual about it goes the way of several pieces."""
        passage = self._passage
        if status >= 400 or len(body) > _SMALL_BYTES or passage.events is not None:
            self.on_head(status, headers)
            if self._headers is headers:  # else another attempt follows
                self.on_data(body)
                self.on_end()
            return
        self._status = status
        passage.category = StatusCategory.SUCCESS
        self._call = None
        self._settle(Outcome.ANSWERED, status, headers)
        passage.exchange.on_disconnect = None
        passage.reply(status, headers, body)

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
        headers = self._headers
        shed = self._status >= 400 and headers is not None and marked(headers.get(SHED))
        self._settle(outcome_of_status(self._status, shed=shed), self._status, headers)
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
        passage = self._passage
        again = not passage.exchange.answered and self._again(failure_of_error(error))
        self._settle(outcome_of_error(error), error.status)
        self._call = None
        if again:
            return
        passage.exchange.on_disconnect = None
        passage.category = category_of_error(error)
        passage.refuse(as_gateway(error, self._route.service))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _again_instead(self, failure: Failure, status: int, headers: Headers) -> bool:
        """Leave an answer that another attempt may better; False: there is none, take this answer."""
        if not self._again(failure, headers):
            return False
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self._settle(outcome_of_status(status, shed=failure is Failure.SHED), status, headers)
        return True

    def _refuse(self, error: KinemaError) -> None:
        """Nobody may be asked. When nobody was, the client may be told that nothing was done for it."""
        passage = self._passage
        passage.exchange.on_disconnect = None
        passage.category = category_of_refusal(error)
        if isinstance(error, Refused) and self._made == 0:
            passage.lines.append(_SHED_LINE)
        passage.refuse(error)

    def _settle(self, outcome: Outcome, status: int = 0, headers: Headers | None = None) -> None:
        """Tell the balancer how the present attempt went, and record it; `status` 0 when it was given up."""
        instance, self._instance = self._instance, None
        if instance is None:
            return
        passage = self._passage
        taken = self._proxy.now() - self._began
        passage.lane.ledger.observing.attempted(passage, instance, self._began, taken, status)
        seconds = self._seconds
        if self._timed and seconds is None:
            seconds = taken
        held, self._held = self._held, None
        self._proxy.balancer.end(held, outcome, seconds, headers)

    def _client_takes(self) -> None:
        if self._call is not None:
            self._call.expire_in(_STALLED_SECONDS)
            self._call.resume()

    def _over(self) -> None:
        """The client is gone, or its answer was cut off or came from elsewhere."""
        self._passage.abandoned(begun=self._status != 0)
        if self._timer is not None:
            self._timer.cancel()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self._settle(Outcome.ABANDONED)


def _deadline(seconds: float, retries: int) -> bytes:
    return encode_fields(((DEADLINE, b"%d;retries=%d" % (int(seconds * 1000), max(0, retries))),))


def _comes_at_once(passage: Passage) -> bool:
    """Say whether the body is too small to take time, so that the service may count its deadline from the head on."""
    exchange = passage.exchange
    length = exchange.body_length
    return not exchange.has_body or (length is not None and length <= _SMALL_BYTES)
