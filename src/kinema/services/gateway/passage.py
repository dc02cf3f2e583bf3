"""A request on its way through the gateway: what the filters found out about it, and what they want sent along."""

from collections.abc import Awaitable, Callable, Iterator

from kinema.core import problem
from kinema.core.errors import KinemaError
from kinema.core.log import get_logger
from kinema.http import Exchange, Head, encode_fields, encode_head
from kinema.resilience.deadline import HEADER as DEADLINE
from kinema.services.gateway.reading import reading_of
from kinema.services.gateway.routes import Route
from kinema.services.gateway.sessions import Session
from kinema.services.gateway.sparing import Sparing

HeaderList = list[tuple[bytes, bytes]]
Apply = Callable[["Passage"], Awaitable[None] | None]
ApplyOutbound = Callable[["Passage", int, list[bytes]], None]

_PROBLEM = (b"content-type", problem.MEDIA_TYPE.encode())
_NO_STORE = (b"cache-control", b"no-store")
_log = get_logger(__name__)


class Lane:
    """A route with the filters that apply to it, chosen once when the gateway starts."""

    __slots__ = ("deadline", "endpoint", "inbound", "outbound", "route", "warnings")

    def __init__(
        self,
        route: Route,
        inbound: tuple[Apply, ...],
        endpoint: Callable[["Passage"], None],
        outbound: tuple[ApplyOutbound, ...],
        warnings: Sparing,
    ) -> None:
        self.route = route
        self.deadline = encode_fields(((DEADLINE, b"%d" % int(route.seconds * 1000)),))
        self.inbound = inbound
        self.endpoint = endpoint
        self.outbound = outbound
        self.warnings = warnings


class Passage:
    """One request. `outgoing` are the encoded header lines for the service behind us, `steps` the filters still to come."""

    __slots__ = (
        "exchange",
        "host",
        "lane",
        "outgoing",
        "path",
        "proto",
        "reading",
        "session",
        "steps",
        "trace_id",
    )

    def __init__(self, exchange: Exchange, lane: Lane, path: str) -> None:
        self.exchange = exchange
        self.lane = lane
        self.path = path
        self.reading = reading_of(exchange.headers)
        self.steps: Iterator[Apply] = iter(lane.inbound)
        self.outgoing: list[bytes] = []
        self.trace_id = ""
        self.host = b""
        self.proto = b"http"
        self.session: Session | None = None

    def reply(self, status: int, headers: HeaderList, body: bytes | memoryview = b"") -> None:
        """Answer whole, after the outbound filters."""
        self.exchange.send(self._head(status, headers), body)

    def start(self, status: int, headers: HeaderList, length: int | None) -> None:
        """Begin a streamed answer, after the outbound filters."""
        self.exchange.start(self._head(status, headers), (), length)

    def _head(self, status: int, headers: HeaderList) -> Head:
        lines: list[bytes] = []
        for apply in self.lane.outbound:
            apply(self, status, lines)
        return encode_head(status, headers, b"".join(lines))

    def refuse(self, error: BaseException) -> None:
        """Answer with an error as problem+json; an answer that was begun is cut, as half of one must not look whole."""
        exchange = self.exchange
        if not isinstance(error, KinemaError):
            _log.error("the gateway failed", method=exchange.method, path=self.path, exc_info=error)
        if exchange.answered:
            exchange.abort()
            return
        document = problem.problem_of(error, instance=self.path)
        if document.status >= 500:
            self._warn(error, document.type)
        headers = [_PROBLEM, _NO_STORE]
        if document.status in {429, 503}:
            headers.append((b"retry-after", b"1"))
        elif document.status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="kinema"'))
        self.reply(document.status, headers, problem.encode(document))

    def _warn(self, error: BaseException, reason: str) -> None:
        left_out = self.lane.warnings.left_out((self.lane.route.service, reason))
        if left_out is not None:
            facts = {"method": self.exchange.method, "path": self.path, "trace_id": self.trace_id, "error": str(error)}
            _log.warning("refused", **facts, like_it_left_out=left_out)
