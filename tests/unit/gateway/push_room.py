"""Gateways of one region that hold devices: each with a public port and a private one, registered as `kinema serve` does it."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
from websockets.asyncio.client import connect

from kinema.core.identity import HEADER, seal, service_identity
from kinema.core.properties import Properties
from kinema.http import Server
from kinema.model.discovery import Instance
from kinema.rpc.service import open_socket
from kinema.services.gateway import create_gateway
from tests.support.fabric import bearer, fabric, until

DEVICE = "living-room-tv"


class PushGateway:
    """One gateway of the region."""

    def __init__(self, region, number, **options):
        self.region = region
        self.name = f"push-{number}"
        self.properties = options.setdefault("properties", Properties())
        self.gateway = create_gateway(
            rpc=region.rpc,
            keys=region.keys,
            clock=region.clock,
            ui_dir=None,
            upload_limit_bytes=1 << 20,
            push_instance=self.name,
            **options,
        )
        self.push = self.gateway._push

    async def start(self):
        await self.gateway.start()
        self.server, self.private = Server(self.gateway.handler), Server(self.gateway.inner)
        await self.server.start(open_socket("127.0.0.1"))
        await self.private.start(open_socket("127.0.0.1"))
        self.origin = f"127.0.0.1:{self.server.port}"
        self.private_origin = f"127.0.0.1:{self.private.port}"
        self.registration = self.region.registration(
            Instance("push", self.name, self.private_origin, "home", "a", "0", {})
        )
        await self.registration.start()
        await until(lambda: self.name in [one.instance for one in self.region.directory.instances("push")])

    async def stop(self):
        await self.registration.close()
        await self.gateway.drain()
        await self.server.drain(1.0)
        await self.private.drain(0.1)
        await self.gateway.close()

    def socket(self, token, device=DEVICE, after="", **options):
        """Return a connection of the `websockets` library, to be entered."""
        query = f"device={device}" + (f"&after={after}" if after else "")
        options.setdefault("additional_headers", {"Authorization": f"Bearer {token}"})
        return connect(f"ws://{self.origin}/v1/push?{query}", proxy=None, **options)

    async def get(self, path, *headers, method="GET", body=b""):
        return await self.region.caller.fetch(self.origin, method, path, headers, body)

    async def send(self, token, message, *headers):
        """Send a message as an operator; return status and answer."""
        answer = await self.get(
            "/v1/push/messages", bearer(token), *headers, method="POST", body=msgspec.json.encode(message)
        )
        return answer.status, msgspec.json.decode(answer.body)

    async def inside(self, path, body, *, identity=None):
        """Call the private port, as a service unless told otherwise."""
        identity = identity or service_identity("catalog-1", self.region.clock.now())
        headers = ((HEADER.encode(), seal(identity, self.region.keys).encode()),)
        return await self.region.caller.fetch(self.private_origin, "POST", path, headers, msgspec.json.encode(body))


@asynccontextmanager
async def gateways(path, count=1, **options):
    """Yield a region and its gateways."""
    async with fabric(path, members=True) as region:
        ones = [PushGateway(region, number + 1, **options) for number in range(count)]
        for one in ones:
            await one.start()
        try:
            yield region, ones
        finally:
            for one in ones:
                await one.stop()


async def hear(socket, *, own=False):
    """Return the next message of a WebSocket; those of the region itself are passed over unless `own`."""
    async with asyncio.timeout(20):
        while True:
            said = msgspec.json.decode(await socket.recv())
            if own or said["type"] not in {"hello", "catalog", "jobs"}:
                return said


@asynccontextmanager
async def stream(gateway, token, query="", *headers):
    """Yield a function that returns the next block of an event stream as a dict of its fields, comments left out."""
    async with gateway.region.caller.stream(
        gateway.origin, "GET", f"/v1/events{query}", (bearer(token), *headers)
    ) as answer:
        assert answer.status == 200
        held = b""

        async def following():
            nonlocal held
            async with asyncio.timeout(20):
                while True:
                    while b"\n\n" not in held:
                        held += await anext(answer)
                    block, _, held = held.partition(b"\n\n")
                    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
                    if fields:
                        return fields

        yield following


def to_everybody(type_="title", **more):
    return {"to": {"kind": "everybody"}, "type": type_} | more
