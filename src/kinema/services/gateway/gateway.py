"""The gateway: one handler for every request of the public port.

    path -> lane -> inbound filters -> endpoint (proxy, events, push, pages, an operator's own) -> outbound filters -> answer

A request whose filters need not wait runs through in plain calls, without a task. A filter that waits has a deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec

from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import Forbidden, MethodNotAllowed, NotFound
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.http import Exchange, spawn
from kinema.model.shedding import SheddingState
from kinema.rpc.client import Rpc
from kinema.services.gateway.config import GatewayConfig
from kinema.services.gateway.events import Events
from kinema.services.gateway.filters import INBOUND, OUTBOUND, BuiltIn, Filters, Parts
from kinema.services.gateway.health import NEEDED, Health
from kinema.services.gateway.hystrix_endpoint import HystrixEndpoint
from kinema.services.gateway.installed import DEADLINE_SECONDS, Installed
from kinema.services.gateway.ledger import Ledger
from kinema.services.gateway.limits import BODY_LIMIT, TIMEOUT, RouteLimits
from kinema.services.gateway.observing import Observing
from kinema.services.gateway.pages import Pages
from kinema.services.gateway.passage import Apply, Lane, Passage, Way
from kinema.services.gateway.proxy import Proxy
from kinema.services.gateway.push import Push
from kinema.services.gateway.push_delivery import Delivery
from kinema.services.gateway.push_metrics import push_samples
from kinema.services.gateway.push_registry import PushLimits
from kinema.services.gateway.push_socket import Sockets
from kinema.services.gateway.reloading import Reloading
from kinema.services.gateway.routes import NOTHING, PAGES, ROUTES, Route, check_route, prefix_of
from kinema.services.gateway.sessions import Sessions
from kinema.services.gateway.waiting import RAISED, within
from kinema.services.gateway.watchdog import Watchdog
from kinema.services.gateway.websocket import WebSockets

_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_PUSH = "/v1/push"
_MOST_KNOWN = 4096
_MOST_WAYS = 64  # for each block of fields
_LONGEST_KNOWN = 256  # characters of a target


class Lanes:
    """Which requests take which way. Replaced as a whole when a filter changes; requests under way keep their lane."""

    __slots__ = ("_closed", "_known", "_none", "_open", "_pages")

    def __init__(self, routes: Sequence[Route], lane: Callable[[Route, bool], Lane]) -> None:
        self._closed = {route.prefix: lane(route, False) for route in routes}
        self._open = {route.prefix: lane(route, True) for route in routes if route.open_methods}
        self._pages = lane(PAGES, True)
        self._none = lane(NOTHING, True)
        self._known: dict[tuple[str, str], Way] = {}

    def find(self, method: str, target: str) -> Way:
        """Return the lane of a request and its path; for those that come again and again, by one look-up."""
        found = self._known.get((method, target))
        if found is None:
            path = target.partition("?")[0]
            found = Way(self._find(method, path), path)
            if len(target) <= _LONGEST_KNOWN:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[method, target] = found
        return found

    def _find(self, method: str, path: str) -> Lane:
        prefix = prefix_of(path)
        opened = self._open.get(prefix)
        if opened is not None and opened.route.is_open(method, path):
            return opened
        found = self._closed.get(prefix)
        if found is not None:
            return found
        return self._none if path.startswith("/v1/") or path == "/v1" else self._pages


class Gateway:
    """Give `handler` to a `kinema.http.Server`. Stop in this order: `drain`, the server's `drain`, `close`."""

    def __init__(
        self,
        name: str,
        parts: Parts,
        built_in: BuiltIn,
        filters_dir: Path | None,
        proxy: Proxy,
        websockets: WebSockets,
        push: Push,
        events: Events,
        sockets: Sockets,
        delivery: Delivery,
        pages: Pages,
        health: Health,
        routes: Sequence[Route],
        limits: RouteLimits,
        ledger: Ledger,
    ) -> None:
        self._websockets = websockets
        self._push = push
        self.inner = delivery.inner  # handles what comes to the private port
        self._pages = pages
        self._health = health
        self._routes = routes
        self._limits = limits
        self._parts = parts
        self._tasks: set[asyncio.Task[None]] = set()
        self._watchdog: Watchdog | None = None
        self.ledger = ledger
        self._hystrix = HystrixEndpoint(proxy.balancer, parts.clock)
        self._endpoints: dict[str, Apply] = {
            "proxy": proxy,
            "events": events,
            "push": lambda passage: (sockets if passage.path == _PUSH else delivery)(passage),
            "pages": pages,
            "health": self._answer_health,
            "filters": self._answer_filters,
            "hystrix": self._hystrix,
            "nothing": _nothing,
        }
        self.reloading = Reloading(name, parts, built_in, filters_dir, parts.clock, self._take_up, self._try_on)
        limits.properties.watch(TIMEOUT, self._limit)
        limits.properties.watch(BODY_LIMIT, self._limit)

    @property
    def shedding(self) -> Callable[[], SheddingState] | None:
        """What was left out for want of room, None without the filter that does it."""
        return self._parts.shedding

    def handler(self, exchange: Exchange) -> None:
        """Take a request."""
        way = self._lanes.find(exchange.method, exchange.target)
        passage = Passage(exchange, way.lane, way.path)
        if way in passage.reading.passed:
            passage.steps = iter(way.lane.again)
        else:
            passage.new_way = way
        self._run(passage)

    async def start(self, *, watchdog: bool = False) -> None:
        """Read the pages and the operator's filters. `watchdog`: end this process when one of these blocks the loop."""
        if watchdog:
            self._watchdog = Watchdog(self.reloading.owner, self.reloading.convict)
            self._watchdog.start()
        await asyncio.gather(self._pages.start(), self.reloading.start())

    async def drain(self) -> None:
        """Send the devices that listen to another gateway; other requests go on."""
        self._hystrix.close()
        await self._push.close()

    async def close(self) -> None:
        """Stop what runs in the background. Requests must have ended."""
        await self._push.close()
        await self._websockets.close()
        await self._pages.close()
        await self.reloading.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._watchdog is not None:
            self._watchdog.close()

    def _limit(self, _: float) -> None:
        self._take_up(self.reloading.filters())

    def _take_up(self, filters: Filters) -> None:
        """Build the lanes anew and put them in place at once."""
        self.ledger.slow_seconds = self._parts.config.passport.slow_seconds
        self._lanes = self._build(filters)

    def _try_on(self, own: Installed) -> None:
        """Raise what an operator's filter would raise when it is taken up."""
        if own.route is not None:
            check_route(own.route, self._routes, self._endpoints)
        for route in (*self._routes, PAGES, NOTHING):
            for opened in (False, True):
                own.applies_to(route, opened=opened)
        self._build(Filters((own,)))

    def _build(self, filters: Filters) -> Lanes:
        def lane(route: Route, opened: bool) -> Lane:
            inbound = filters.inbound(route, opened=opened)
            again = filters.again(route, opened=opened)
            usual = self._websockets if route.websocket else self._endpoints[route.endpoint]
            endpoint = filters.endpoint(route, opened=opened) or usual
            outbound = filters.outbound(route, opened=opened)
            return Lane(self._limits.complete(route), inbound, again, endpoint, outbound, self.ledger, filters.by_apply)

        known = {route.prefix for route in self._routes}
        added = [route for route in filters.routes() if route.prefix not in known]
        return Lanes((*self._routes, *added), lane)

    def _run(self, passage: Passage) -> None:
        """Go through the filters that are left and the endpoint; the first that has to wait continues in a task."""
        lane = passage.lane
        apply = lane.endpoint
        try:
            for apply in passage.steps:
                if waiting := apply(passage):
                    if waiting is not True:
                        self._wait(passage, apply, waiting)
                    return
            apply = lane.endpoint
            if passage.new_way is not None:
                _remember(passage.reading.passed, passage.new_way)
            if (waiting := apply(passage)) and waiting is not True:
                self._wait(passage, apply, waiting)
            elif lane.own:
                _answered(passage, apply)
        except RAISED as error:
            self._failed(passage, apply, error)

    def _wait(self, passage: Passage, apply: Apply, waiting: Awaitable[bool | None]) -> None:
        passage.note(f"{_name(passage, apply)}.waits")
        passage.new_way = None  # whoever waits has looked at more than the head
        task = asyncio.get_running_loop().create_task(self._resume(passage, apply, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        passage.exchange.on_disconnect = partial(_leave, passage, task)

    async def _resume(self, passage: Passage, apply: Apply, waiting: Awaitable[bool | None]) -> None:
        installed = passage.lane.installed.get(apply)
        seconds = DEADLINE_SECONDS if installed is None else installed.deadline_seconds
        leaving = passage.exchange.on_disconnect
        tracing.current.set(self.ledger.observing.context(passage))  # for what it calls; this task is the request's own
        try:
            answered = await within(waiting, seconds, _name(passage, apply))
            if passage.lane.own and apply is passage.lane.endpoint and passage.exchange.on_disconnect is leaving:
                passage.exchange.on_disconnect = None
                _answered(passage, apply)
        except Exception as error:  # noqa: BLE001 (as in _run)
            passage.exchange.on_disconnect = None
            self._failed(passage, apply, error)
            return
        passage.note(f"{_name(passage, apply)}.done")
        if answered is True or apply is passage.lane.endpoint:
            return
        passage.exchange.on_disconnect = None
        self._run(passage)

    def _failed(self, passage: Passage, apply: Apply, error: BaseException) -> None:
        """Answer with an error; a filter that did not mean to refuse is reported."""
        installed = passage.lane.installed.get(apply)
        if installed is not None:
            installed.failed(error)
        passage.refuse(error)

    def _answer_health(self, passage: Passage) -> None:
        spawn(passage.exchange, self._report_health(passage))

    async def _report_health(self, passage: Passage) -> None:
        report = await self._health.report()
        passage.reply(200 if report.ready else 503, [_JSON, _NO_STORE], msgspec.json.encode(report))

    def _answer_filters(self, passage: Passage) -> None:
        if passage.path != "/v1/gateway/filters":
            _nothing(passage)
        if passage.session is None or passage.session.who.role != "operator":
            raise Forbidden("The gateway's filters are shown to operators only.")
        if passage.exchange.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed("The gateway's filters are read by GET; they change when their files do.")
        passage.reply(200, [_JSON, _NO_STORE], msgspec.json.encode(self.reloading.report()))


def _leave(passage: Passage, task: asyncio.Task[None]) -> None:
    task.cancel()
    passage.abandoned()


def _remember(passed: set[object], way: Way) -> None:
    if len(passed) >= _MOST_WAYS:
        passed.clear()
    passed.add(way)


def _answered(passage: Passage, apply: Apply) -> None:
    """Raise RuntimeError when an operator's endpoint has ended and nobody answers: its client would wait for ever."""
    if not passage.exchange.answered and passage.exchange.on_disconnect is None:
        raise RuntimeError(f"The endpoint {_name(passage, apply)} ended without an answer.")


def _name(passage: Passage, apply: Apply) -> str:
    installed = passage.lane.installed.get(apply)
    return passage.lane.route.endpoint if installed is None else installed.name


def _nothing(passage: Passage) -> NoReturn:
    raise NotFound(f"There is nothing at {passage.path[:200]}.")


def create_gateway(
    *,
    rpc: Rpc,
    keys: KeyRing,
    clock: Clock,
    ui_dir: Path | None,
    upload_limit_bytes: int,
    trust_forwarded: bool = False,
    name: str = "gateway",
    data_dir: Path | None = None,
    filters_dir: Path | None = None,
    config: GatewayConfig | None = None,
    needed: Sequence[str] = NEEDED,
    routes: Sequence[Route] = ROUTES,
    inbound: tuple[str, ...] = INBOUND,
    outbound: tuple[str, ...] = OUTBOUND,
    properties: Properties | None = None,
    push_instance: str = "push-1",
    push_limits: PushLimits | None = None,
) -> Gateway:
    """Put a gateway together. `rpc` brings directory, client and balancer, which the caller starts and closes.

    `ui_dir` holds the built UI (None, or a folder without index.html: a page says how to build it). `trust_forwarded`:
    X-Forwarded-* from this machine count, for a TLS server in front. `data_dir` is where the configuration, the operator's
    filters (unless `filters_dir` is another place) and the quarantine are; without it `config` holds and nothing is reloaded.
    `properties` are those of the process; without them the defaults hold. `needed`: services without which /healthz is 503.
    `push_instance` is the name under which the private port (`Gateway.inner`) is registered as a `push` instance.
    """
    sessions = Sessions(rpc, keys, clock)
    parts = Parts(
        rpc=rpc,
        keys=keys,
        sessions=sessions,
        clock=clock,
        trust_forwarded=trust_forwarded,
        config=config or GatewayConfig(),
        data_dir=data_dir,
    )
    properties = properties or Properties()
    proxy = Proxy(rpc.client, rpc.balancer, rpc.budgets, clock)
    push = Push(rpc, sessions, clock, limits=push_limits)
    websockets = WebSockets(proxy, sessions, clock)
    rpc.metrics.source(lambda: push_samples(push.snapshot(), websockets.tunnels))
    return Gateway(
        name,
        parts,
        BuiltIn(parts, inbound, outbound),
        filters_dir,
        proxy,
        websockets,
        push,
        Events(push, clock),
        Sockets(push, clock),
        Delivery(push, rpc, keys, clock, properties, push_instance),
        Pages(ui_dir, rpc.directory, clock),
        Health(rpc.directory, rpc.client, clock, needed),
        routes,
        RouteLimits(properties, upload_limit_bytes),
        Ledger(clock, Observing(rpc.metrics, rpc.spans, name), parts.config.passport.slow_seconds),
    )
