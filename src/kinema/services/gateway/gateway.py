"""The gateway: one handler for every request of the public port.

    path refused? -> route -> inbound filters -> endpoint (proxy, events, pages, health) -> outbound filters -> answer

A request whose filters need not wait runs through in plain calls, without a task.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import NotFound
from kinema.core.keys import KeyRing
from kinema.http import Exchange, spawn
from kinema.rpc.client import Rpc
from kinema.services.gateway.events import Events
from kinema.services.gateway.filters import INBOUND, OUTBOUND, Filters, Parts
from kinema.services.gateway.health import NEEDED, Health
from kinema.services.gateway.pages import Pages
from kinema.services.gateway.passage import Lane, Passage
from kinema.services.gateway.proxy import Proxy
from kinema.services.gateway.routes import NOTHING, PAGES, ROUTES, Route, prefix_of
from kinema.services.gateway.sessions import Sessions
from kinema.services.gateway.sparing import Sparing

_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")


class Gateway:
    """Give `handler` to a `kinema.http.Server`. Stop in this order: `drain`, the server's `drain`, `close`."""

    def __init__(
        self,
        filters: Filters,
        proxy: Proxy,
        events: Events,
        pages: Pages,
        health: Health,
        routes: Sequence[Route],
        warnings: Sparing,
    ) -> None:
        self._events = events
        self._pages = pages
        self._health = health
        self._tasks: set[asyncio.Task[None]] = set()
        endpoints: dict[str, Callable[[Passage], None]] = {
            "proxy": proxy,
            "events": events,
            "pages": pages,
            "health": self._answer_health,
            "nothing": _nothing,
        }

        def lane(route: Route, *, opened: bool) -> Lane:
            inbound = filters.inbound(route, opened=opened)
            return Lane(route, inbound, endpoints[route.endpoint], filters.outbound(route, opened=opened), warnings)

        self._closed_lanes = {route.prefix: lane(route, opened=False) for route in routes}
        self._open_lanes = {route.prefix: lane(route, opened=True) for route in routes if route.open_methods}
        self._page_lane = lane(PAGES, opened=True)
        self._no_lane = lane(NOTHING, opened=True)

    def handler(self, exchange: Exchange) -> None:
        """Take a request."""
        path = exchange.target.partition("?")[0]
        passage = Passage(exchange, self._lane(exchange.method, path), path)
        self._run(passage)

    async def start(self) -> None:
        """Read the pages."""
        await self._pages.start()

    async def drain(self) -> None:
        """End the event streams, which would otherwise never end; other requests go on."""
        await self._events.close()

    async def close(self) -> None:
        """Stop what runs in the background. Requests must have ended."""
        await self._events.close()
        await self._pages.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lane(self, method: str, path: str) -> Lane:
        prefix = prefix_of(path)
        opened = self._open_lanes.get(prefix)
        if opened is not None and opened.route.is_open(method, path):
            return opened
        found = self._closed_lanes.get(prefix)
        if found is not None:
            return found
        return self._no_lane if path.startswith("/v1/") or path == "/v1" else self._page_lane

    def _run(self, passage: Passage) -> None:
        """Go through the filters that are left; the first that has to wait continues in a task."""
        try:
            for apply in passage.steps:
                waiting = apply(passage)
                if waiting is not None:
                    self._wait(passage, waiting)
                    return
            passage.lane.endpoint(passage)
        except Exception as error:  # noqa: BLE001 (whatever a filter or endpoint raises becomes this request's answer)
            passage.refuse(error)

    def _wait(self, passage: Passage, waiting: Awaitable[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._resume(passage, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        passage.exchange.on_disconnect = partial(_cancel, task)

    async def _resume(self, passage: Passage, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except Exception as error:  # noqa: BLE001 (as in _run)
            passage.exchange.on_disconnect = None
            passage.refuse(error)
            return
        passage.exchange.on_disconnect = None
        self._run(passage)

    def _answer_health(self, passage: Passage) -> None:
        spawn(passage.exchange, self._report_health(passage))

    async def _report_health(self, passage: Passage) -> None:
        report = await self._health.report()
        passage.reply(200 if report.ready else 503, [_JSON, _NO_STORE], msgspec.json.encode(report))


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _nothing(passage: Passage) -> None:
    raise NotFound(f"There is nothing at {passage.path[:200]}.")


def create_gateway(
    *,
    rpc: Rpc,
    keys: KeyRing,
    clock: Clock,
    ui_dir: Path | None,
    upload_limit_bytes: int,
    trust_forwarded: bool = False,
    needed: Sequence[str] = NEEDED,
    routes: Sequence[Route] = ROUTES,
    inbound: tuple[str, ...] = INBOUND,
    outbound: tuple[str, ...] = OUTBOUND,
) -> Gateway:
    """Put a gateway together. `rpc` brings directory, client and balancer, which the caller starts and closes.

    `ui_dir` holds the built UI (None, or a folder without index.html: a page says how to build it). `trust_forwarded`:
    X-Forwarded-* from this machine count, for a TLS server in front. `needed`: services without which /healthz is 503.
    """
    sessions = Sessions(rpc, keys, clock)
    filters = Filters(Parts(sessions=sessions, clock=clock, trust_forwarded=trust_forwarded), inbound, outbound)
    limited = [
        msgspec.structs.replace(route, body_bytes=upload_limit_bytes) if route.body_bytes is None else route
        for route in routes
    ]
    return Gateway(
        filters,
        Proxy(rpc.client, rpc.balancer, rpc.budget),
        Events(rpc, sessions, clock),
        Pages(ui_dir, rpc.directory, clock),
        Health(rpc.directory, rpc.client, clock, needed),
        limited,
        Sparing(clock),
    )
