"""Listening and being known: the sockets of a process and its instances in discovery."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kinema.wiring.parts import Parts
from kinema.wiring.placement import Placement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kinema.core.stopping import Stop
    from kinema.rpc.registration import Registration


@asynccontextmanager
async def registered(
    service: str,
    placement: Placement,
    parts: Parts,
    listener: socket.socket,
    stop: Stop,
    metadata: dict[str, str] | None = None,
    name: str = "",
) -> AsyncIterator[Registration]:
    """Keep the instance known to discovery for as long as the block runs, or until it signs off."""
    import kinema
    from kinema.model.discovery import Instance
    from kinema.rpc.registration import Registration

    host, port = listener.getsockname()[:2]
    instance = Instance(
        service=service,
        instance=name or f"{service}-{placement.number}",
        address=f"{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}",  # noqa: S104 -- compared, not bound
        region=parts.settings.region,
        zone=parts.settings.zone,
        version=kinema.__version__,
        metadata={"process": placement.process} | (metadata or {}),
    )
    registration = Registration(instance, placement.registries, parts.client, parts.keys, parts.clock)
    await registration.start()
    try:
        yield registration
    finally:
        handed_over = stop.successor and service in placement.sockets
        await (registration.close() if handed_over else registration.sign_off())


def listener_of(placement: Placement, service: str) -> socket.socket:
    """Return the socket on which a service of this process listens: inherited, on the reserved port, or any free one."""
    if service in placement.sockets:
        return socket.socket(fileno=placement.sockets[service])
    port = placement.registry_port if service == "discovery" else 0
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # the supervisor holds the port, not listening
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    listener.setblocking(False)
    return listener


async def first(*awaitables: Awaitable[object]) -> None:
    """Wait until one of them is done; leave the others as they are, but cancel what was only made for this."""
    tasks = [asyncio.ensure_future(one) for one in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    tasks[0].cancel()


def raise_descriptor_limit() -> int:
    """Let this process open as many files and sockets as the system allows, and return how many that are."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20
