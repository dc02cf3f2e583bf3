"""A request on its way through the gateway: what the filters found out about it, what they want sent along, and its answer."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from kinema.core import problem
from kinema.core.errors import KinemaError
from kinema.core.faults import Carried
from kinema.core.log import get_logger
from kinema.core.priority import Priority
from kinema.http import Exchange, Headers, Tunnel, encode_fields, encode_head
from kinema.resilience.deadline import HEADER as DEADLINE
from kinema.services.gateway.answer import Answer, HeaderList
from kinema.services.gateway.installed import Installed
from kinema.services.gateway.ledger import Ledger
from kinema.services.gateway.observing import CLIENT_CLOSED
from kinema.services.gateway.reading import reading_of
from kinema.services.gateway.routes import Route
from kinema.services.gateway.sessions import Session
from kinema.services.gateway.status import StatusCategory, category_of_error
from kinema.services.gateway.streaming import Streaming
from kinema.services.gateway.waiting import RAISED, called, within

if TYPE_CHECKING:
    from kinema.services.gateway.relay import Relayed

Apply = Callable[["Passage"], Awaitable[bool | None] | bool | None]
ApplyOutbound = Callable[["Passage", Answer], Awaitable[None] | None]

_PROBLEM = (b"content-type", problem.MEDIA_TYPE.encode())
_NO_STORE = (b"cache-control", b"no-store")
_log = get_logger(__name__)


class Lane:
    """A route with the filters that apply to it, chosen when the gateway starts and whenever a filter changes.

    `again` are the inbound filters for requests whose like has passed before (`Installed.by_head`). `installed` leads from a filter's `apply` to its place in the books; a request keeps the lane it began in.
    """

    __slots__ = (
        "again",
        "deadline",
        "endpoint",
        "inbound",
        "installed",
        "ledger",
        "outbound",
        "own",
        "records",
        "relayed",
        "route",
    )

    def __init__(
        self,
        route: Route,
        inbound: tuple[Apply, ...],
        again: tuple[Apply, ...],
        endpoint: Apply,
        outbound: tuple[ApplyOutbound, ...],
        ledger: Ledger,
        installed: dict[Any, Installed],
    ) -> None:
        self.route = route
        self.deadline = encode_fields(((DEADLINE, b"%d" % int(route.seconds * 1000)),))
        self.inbound = inbound
        self.again = again
        self.endpoint = endpoint
        self.outbound = outbound
        self.ledger = ledger
        self.records = ledger.observing.route(route)
        self.installed = installed
        self.own = endpoint in installed  # an operator's endpoint answers
        self.relayed: Relayed | None = None  # known when the first request is relayed


class Way:
    """Where requests of one method and target go."""

    __slots__ = ("lane", "path")

    def __init__(self, lane: Lane, path: str) -> None:
        self.lane = lane
        self.path = path


class Passage:
    """One request. `steps` are the filters still to come; the class attributes are what most requests leave as it is."""

    trace_id = ""
    span_id = ""
    """The request as a span of its trace; empty when it is not recorded."""
    parent_id = ""
    call_id = ""
    """The present attempt at a service as a span."""
    host = b""
    proto = b"http"
    client = ""
    """The client's address, as far as it is known: that of the connection, or what a TLS server in front says."""
    session: Session | None = None
    avoid: tuple[str, ...] = ()
    """Addresses of instances that shall not get this request as long as others are there."""
    priority = Priority.DEGRADED
    """How much the request matters (filters/classification.py)."""
    faults: Carried | None = None
    """Faults that are to be felt on its way (filters/fault_injection.py)."""
    category = StatusCategory.SUCCESS_LOCAL_NOTSET
    on_answer: Callable[[Answer | None], None] | None = None
    """Called with the answer before the outbound filters, and with None when it will not come or not be whole."""
    events: list[tuple[float, str]] | None = None
    """What happened when (seconds of the steady clock), where somebody wants to know or it was unusual."""

    new_way: Way | None = None
    """The way of a request whose like has not passed all filters yet."""

    _streaming: Streaming | None = None

    def __init__(self, exchange: Exchange, lane: Lane, path: str) -> None:
        self.exchange = exchange
        self.lane = lane
        self.path = path
        self.reading = reading_of(exchange.headers)
        self.steps: Iterator[Apply] = iter(lane.inbound)
        self.outgoing: list[bytes] = []  # encoded fields for the service behind us
        self.lines: list[bytes] = []  # encoded fields for the answer, whatever it will be
        self.begun = lane.ledger.now()

    # -- answering ---------------------------------------------------------------------------------------------------

    def reply(self, status: int, fields: Headers | HeaderList, body: bytes | memoryview = b"") -> None:
        """Answer whole, after the outbound filters."""
        answer = Answer(status, fields, body, len(body), self.lines)
        if self.on_answer is not None:
            self.on_answer(answer)
        apply: ApplyOutbound | None = None
        try:
            for apply in (steps := iter(self.lane.outbound)):
                if waiting := apply(self, answer):
                    self._later(answer, apply, waiting, steps)
                    return
            apply = None
            self._send(answer)
        except RAISED as error:
            self._broken(apply, error, answer.lines)

    def start(
        self,
        status: int,
        fields: Headers | HeaderList,
        length: int | None,
        on_writable: Callable[[], None] | None = None,
    ) -> None:
        """Begin a streamed answer, after the outbound filters; then `write` and `finish` it.

        A filter may have put a whole answer in its place: then the exchange is finished, and the rest of the body is unwanted.
        """
        answer = Answer(status, fields, None, length, self.lines)
        if self.on_answer is not None:
            self.on_answer(answer)
        apply: ApplyOutbound | None = None
        try:
            for apply in (steps := iter(self.lane.outbound)):
                if waiting := apply(self, answer):
                    self._streaming = Streaming(self.exchange, on_writable, self.cut)
                    self._later(answer, apply, waiting, steps, self._streaming)
                    return
            apply = None
            if answer.body is not None:
                self._send(answer)
                return
            self.lane.ledger.settled(self, answer.status)
            if answer.transforms is not None:
                self._streaming = Streaming(self.exchange, on_writable, self.cut)
                self._streaming.begin(answer)
            else:
                self.exchange.on_writable = on_writable
                self.exchange.start(answer.head().extended(b"".join(answer.lines)), (), answer.length)
        except RAISED as error:
            self._broken(apply, error, answer.lines)

    def write(self, piece: bytes) -> bool:
        """Send a piece of a streamed answer; False: wait for `on_writable`."""
        if self._streaming is not None:
            return self._streaming.write(piece)
        return self.exchange.write(piece)

    def finish(self) -> None:
        """End a streamed answer."""
        if self._streaming is not None:
            self._streaming.finish()
        else:
            self.exchange.finish()

    def upgrade(self, fields: HeaderList, protocol: bytes) -> Tunnel:
        """Answer 101 and leave HTTP, past the outbound filters. Raises BadInput as `Exchange.upgrade` does."""
        named = [*fields, (b"x-request-id", self.trace_id.encode())]
        tunnel = self.exchange.upgrade(encode_head(101, named, b"".join(self.lines)), protocol)
        self.lane.ledger.settled(self, 101)
        return tunnel

    def refuse(self, error: BaseException) -> None:
        """Answer with an error as problem+json; an answer that was begun is cut, as half of one must not look whole."""
        if self.exchange.answered:
            self.cut(error)
            return
        if self.category is StatusCategory.SUCCESS_LOCAL_NOTSET:
            self.category = category_of_error(error)
        document = problem.problem_of(error, instance=self.path)
        self._report(error, document)
        self.reply(document.status, _problem_fields(document, error), problem.encode(document))

    def cut(self, error: BaseException) -> None:
        """End an answer that was begun and cannot be completed, and whatever still works on it."""
        if not isinstance(error, KinemaError):
            _log.error("the gateway failed", method=self.exchange.method, path=self.path, exc_info=error)
        self.lane.ledger.cut(category_of_error(error))
        if self.on_answer is not None:
            self.on_answer(None)
        callback, self.exchange.on_disconnect = self.exchange.on_disconnect, None
        self.exchange.abort()
        if callback is not None:
            callback()

    def abandoned(self, *, begun: bool = False) -> None:
        """The client went away: before there was an answer, or in the middle of it (`begun`)."""
        if self.on_answer is not None:
            self.on_answer(None)
        if begun:
            return
        self.category = StatusCategory.FAILURE_CLIENT_CANCELLED
        self.lane.ledger.settled(self, CLIENT_CLOSED)

    # -- what happened when ------------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        """Remember that something happened now."""
        if self.events is None:
            self.events = []
        self.events.append((self.lane.ledger.now(), what))

    def timeline(self) -> str:
        """Return what happened, with the milliseconds since the request began, in the syntax of Server-Timing's values."""
        found = [f"{what};at={(at - self.begun) * 1000:.2f}" for at, what in self.events or ()]
        return ", ".join([*found, f"head;at={(self.lane.ledger.now() - self.begun) * 1000:.2f}"])

    # -- inside ------------------------------------------------------------------------------------------------------

    def _send(self, answer: Answer) -> None:
        head, lines, body = answer.head(), b"".join(answer.lines), answer.body or b""
        if body.__class__ is not bytes and not isinstance(body, memoryview | bytearray):
            raise TypeError(f"The body of an answer is bytes, not {type(body).__name__}.")
        self.lane.ledger.settled(self, answer.status)
        self.exchange.send(head, body, lines)

    def _later(
        self,
        answer: Answer,
        apply: ApplyOutbound,
        waiting: Awaitable[None],
        steps: Iterator[ApplyOutbound],
        streaming: Streaming | None = None,
    ) -> None:
        """Let an outbound filter wait in a task; a client that leaves in the meantime ends that and what it interrupted."""
        before = self.exchange.on_disconnect
        work = self._go_on(answer, apply, waiting, steps, streaming, before)
        task = asyncio.get_running_loop().create_task(work)
        self.exchange.on_disconnect = partial(_end, task, before)

    async def _go_on(
        self,
        answer: Answer,
        apply: ApplyOutbound,
        waiting: Awaitable[None],
        steps: Iterator[ApplyOutbound],
        streaming: Streaming | None,
        before: Callable[[], None] | None,
    ) -> None:
        """Wait for one outbound filter, go through those after it, and send the answer."""
        at_work: ApplyOutbound | None = apply
        try:
            await within(waiting, *self._limit(apply))
            for at_work in steps:
                seconds, name = self._limit(at_work)
                if more := called(at_work, self, answer, name=name):
                    await within(more, seconds, name)
            at_work = None
            self.exchange.on_disconnect = before
            if streaming is not None and answer.body is None:
                self.lane.ledger.settled(self, answer.status)
                streaming.begin(answer)
                return
            self._send(answer)
        except Exception as error:  # noqa: BLE001 (whatever a filter raises becomes this request's answer)
            self._broken(at_work, error, answer.lines)
        self.exchange.on_disconnect = None
        if streaming is not None and before is not None:
            before()  # nobody wants the body that was to be streamed

    def _broken(self, apply: ApplyOutbound | None, error: BaseException, lines: list[bytes]) -> None:
        """Answer that an outbound filter failed, with the lines of those before it; without a filter, these cannot be sent."""
        if apply is not None:
            self.lane.installed[apply].failed(error)
        else:
            lines = []
        if self.exchange.answered:
            self.cut(error)
            return
        self.category = category_of_error(error)
        document = problem.problem_of(error, instance=self.path)
        self._report(error, document)
        body = problem.encode(document)
        self._send(Answer(document.status, _problem_fields(document, error), body, len(body), lines))

    def _limit(self, apply: ApplyOutbound) -> tuple[float, str]:
        installed = self.lane.installed[apply]
        return installed.deadline_seconds, installed.name

    def _report(self, error: BaseException, document: problem.Problem) -> None:
        exchange = self.exchange
        if not isinstance(error, KinemaError):
            _log.error("the gateway failed", method=exchange.method, path=self.path, exc_info=error)
        elif document.status >= 500:
            left_out = self.lane.ledger.warnings.left_out((self.lane.route.service, document.type))
            if left_out is not None:
                facts = {"method": exchange.method, "path": self.path, "trace_id": self.trace_id, "error": str(error)}
                _log.warning("refused", **facts, like_it_left_out=left_out)


def _problem_fields(document: problem.Problem, error: BaseException) -> HeaderList:
    fields = [_PROBLEM, _NO_STORE]
    if document.status in {429, 503}:
        fields.append((b"retry-after", b"%d" % max(1, math.ceil(getattr(error, "retry_after", 0.0)))))
    elif document.status == 401:
        fields.append((b"www-authenticate", b'Bearer realm="kinema"'))
    return fields


def _end(task: asyncio.Task[None], before: Callable[[], None] | None) -> None:
    task.cancel()
    if before is not None:
        before()
