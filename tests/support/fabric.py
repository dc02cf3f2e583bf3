"""A small region for tests: real registries, real members, a real gateway, and services that a test writes as handlers."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.http import Client, Server
from kinema.model.discovery import Instance
from kinema.rpc.client import Rpc
from kinema.rpc.directory import Directory
from kinema.rpc.registration import Registration
from kinema.rpc.service import create_app, make_server, open_socket
from kinema.services.discovery import create_discovery
from kinema.services.gateway import create_gateway
from kinema.services.members.app import create_members
from kinema.services.members.minting import mint_token
from kinema.storage.engines import open_sql


async def until(condition, seconds=10.0):
    """Wait until the condition holds; fail after this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not true after {seconds} s"
        await asyncio.sleep(0.01)


class RunningApp:
    """An app on uvicorn that can be stopped cleanly, or dropped as a killed process drops it."""

    def __init__(self, app, port=0):
        self.server = make_server(app, graceful_seconds=1)
        self.socket = open_socket("127.0.0.1", port)
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.task = asyncio.create_task(self.server.serve(sockets=[self.socket]))

    async def stop(self):
        self.server.should_exit = True
        await self.task


class Upstream:
    """A service instance made of one handler, registered like a real one."""

    def __init__(self, fabric, service, number, handler):
        self.fabric = fabric
        self.seen = []
        self.handler = handler
        self.server = Server(self._handle)
        self.service, self.name = service, f"{service}-{number}"
        self.registration = None

    async def start(self, metadata=None):
        sock = open_socket("127.0.0.1")
        await self.server.start(sock)
        self.address = f"127.0.0.1:{self.server.port}"
        one = Instance(self.service, self.name, self.address, "home", "a", "0", metadata or {})
        self.registration = self.fabric.registration(one)
        await self.registration.start()
        await until(lambda: one.address in [i.address for i in self.fabric.directory.instances(self.service)])
        return self

    def _handle(self, exchange):
        self.seen.append(exchange)
        if exchange.path == "/healthz":
            exchange.reply(200, (), b"{}")
        else:
            self.handler(exchange)

    async def kill(self):
        """End as a killed process does: connections reset, port closed, no sign-off."""
        for task in self.registration._tasks:
            task.cancel()
        self.server._listener.close()
        for connection in tuple(self.server.connections):
            connection.transport.abort()
        self.registration = None

    async def stop(self):
        if self.registration is not None:
            await self.registration.sign_off()
        await self.server.drain(0.1)


class Fabric:
    def __init__(self, path):
        self.path = path
        self.clock = SystemClock()
        self.keys = KeyRing(path)
        self.stack = AsyncExitStack()
        self.registries = []
        self.upstreams = []

    @property
    def addresses(self):
        return tuple(registry.address for registry in self.registries)

    def registry(self, number, port=0):
        app = create_discovery(instance=f"discovery-{number}", keys=self.keys, clock=self.clock)
        return RunningApp(app, port)

    def registration(self, instance):
        return Registration(instance, self.addresses, self.client, self.keys, self.clock)

    async def start(self):
        self.registries = [self.registry(1), self.registry(2)]
        self.client = Client()
        self.directory = Directory(self.addresses, self.client, self.keys, self.clock, "test-1")
        await self.directory.start()
        self.rpc = Rpc(self.directory, self.client, self.keys, self.clock, "test-1")

    async def start_members(self):
        self.sql = open_sql(self.path, "", "members")
        app = create_members(instance="members-1", sql=self.sql, keys=self.keys, clock=self.clock, session_days=9)
        self.members = RunningApp(app)
        self.stack.push_async_callback(self.members.stop)
        one = Instance("members", "members-1", self.members.address, "home", "a", "0")
        registration = self.registration(one)
        await registration.start()
        self.stack.push_async_callback(registration.sign_off)
        await self.directory.wait_for("members", 5)

    async def token(self, role="viewer"):
        return await mint_token(self.sql, self.clock, role)

    async def start_gateway(self, ui_dir=None, **options):
        options.setdefault("upload_limit_bytes", 1 << 40)
        self.gateway = create_gateway(rpc=self.rpc, keys=self.keys, clock=self.clock, ui_dir=ui_dir, **options)
        await self.gateway.start()
        self.server = Server(self.gateway.handler)
        await self.server.start(open_socket("127.0.0.1"))
        self.origin = f"127.0.0.1:{self.server.port}"

    async def upstream(self, service, handler, number=1, metadata=None):
        one = await Upstream(self, service, number, handler).start(metadata)
        self.upstreams.append(one)
        return one

    async def service(self, service, *routes, number=1, **options):
        """Run a service instance: the frame of every service around these handlers."""
        app = create_app(
            service=service, instance=f"{service}-{number}", keys=self.keys, clock=self.clock, routes=routes, **options
        )
        running = RunningApp(app)
        self.stack.push_async_callback(running.stop)
        registration = self.registration(Instance(service, f"{service}-{number}", running.address, "home", "a", "0"))
        await registration.start()
        self.stack.push_async_callback(registration.close)
        await until(lambda: running.address in [one.address for one in self.directory.instances(service)])
        running.app = app
        return running

    async def get(self, path, *headers, method="GET", body=b""):
        return await self.caller.fetch(self.origin, method, path, headers, body)

    async def close(self):
        if hasattr(self, "server"):
            await self.gateway.drain()
            await self.server.drain(1.0)
            await self.gateway.close()
        for one in self.upstreams:
            await one.stop()
        await self.stack.aclose()
        await self.directory.close()
        await self.client.close()
        await asyncio.gather(*(registry.stop() for registry in self.registries))
        if hasattr(self, "sql"):
            await self.sql.close()


@asynccontextmanager
async def fabric(path, *, members=False, gateway=False, **options):
    """Run a region; `members` and `gateway` are started on request."""
    one = Fabric(path)
    await one.start()
    one.caller = Client()
    try:
        if members:
            await one.start_members()
        if gateway:
            await one.start_gateway(**options)
        yield one
    finally:
        await one.caller.close()
        await one.close()


def bearer(token):
    """Return the header of a script that holds this token."""
    return b"authorization", f"Bearer {token}".encode()
