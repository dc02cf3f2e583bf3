"""Services under test: real apps on real storage, called in process with sealed identities."""

import asyncio
import builtins
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import httpx
import msgspec
from litestar import Litestar

from kinema.core import problem
from kinema.core.clock import Clock, SystemClock
from kinema.core.errors import Unavailable
from kinema.core.identity import HEADER, Identity, Role, seal, service_identity
from kinema.core.keys import KeyRing
from kinema.model.discovery import Instance
from kinema.rpc.service import make_server, open_socket

T = TypeVar("T")


class ShiftedClock(SystemClock):
    """The machine's clock, moved on by hand: sleeping stays real, so that background work goes on."""

    def __init__(self) -> None:
        self.shift = 0.0

    def now(self) -> float:
        return super().now() + self.shift

    def monotonic(self) -> float:
        return super().monotonic() + self.shift


class StoppedClock(SystemClock):
    """Time that passes only by hand, for what counts it; sleeping stays real."""

    def __init__(self) -> None:
        self.shift = 0.0
        self._start = super().now()

    def now(self) -> float:
        return self._start + self.shift

    def monotonic(self) -> float:
        return self.now()


class Nobody:
    """Calls of an instance that finds none of the services it calls."""

    async def request(self, service, method, path, body=b"", *, headers=()):
        raise Unavailable(f"No instance of {service} is running.")


@asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Run the app's start-up and shut-down around a client that calls it without a socket.

    The app lives in a task of its own: a fixture is torn down in another task than it was set up in.
    """
    started, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await stop.wait()

    life = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if life.done():
        await life
    try:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://kinema.test:8080") as client:
            yield client
    finally:
        stop.set()
        await life


def as_(
    role: Role, keys: KeyRing, clock: Clock, account: str = "acc_test", session: str = "ses_test"
) -> dict[str, str]:
    """Return the headers of somebody with this role, as the gateway would send them."""
    return {HEADER: seal(Identity(account, role, session, clock.now() + 60), keys)}


class AppCalls:
    """Calls from service to service, without sockets: what rpc does on the wire, on the apps themselves."""

    def __init__(self, keys: KeyRing, clock: Clock, clients: dict[str, httpx.AsyncClient]) -> None:
        self._keys = keys
        self._clock = clock
        self._clients = clients

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        type: builtins.type[T],  # noqa: A002 -- rpc's name for it
        identity: Identity | None = None,
    ) -> T:
        sealed = seal(identity or service_identity("test-1", self._clock.now()), self._keys)
        response = await self._clients[service].request(method, path, headers={HEADER: sealed})
        if response.status_code >= 400:
            raise problem.error_of(response.status_code, response.content)
        return msgspec.json.decode(response.content, type=type)


class Instances:
    """A fixed list of instances in the place of the directory."""

    def __init__(self, *instances: Instance) -> None:
        self.all = instances

    def instances(self, service: str) -> tuple[Instance, ...]:
        return tuple(instance for instance in self.all if instance.service == service)


def edge(public_base: str, name: str = "edge-1") -> Instance:
    """Return an edge's registration."""
    return Instance("edge", name, "127.0.0.1:1", "home", "a", "0", {"public_base": public_base})


@contextmanager
def served(app: Litestar) -> Iterator[str]:
    """Serve the app on a loopback socket from a thread with a loop of its own; yields its address."""
    listener = open_socket("127.0.0.1")
    server = make_server(app, graceful_seconds=1)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
