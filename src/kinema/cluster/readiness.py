"""Asking a region, while it runs, whether it is what it should be: one small awaited HTTP exchange, and the questions."""

import asyncio
from pathlib import Path

import msgspec

from kinema.cluster.ask import as_service
from kinema.core.errors import KinemaError, Unavailable
from kinema.core.problem import error_of
from kinema.model.discovery import Instance, Registry
from kinema.rpc.merge import started

_LARGEST = 4 << 20


async def speak(
    address: str, method: str, path: str, headers: dict[str, str], body: bytes = b"", seconds: float = 5.0
) -> bytes:
    """Send a request to "host:port" and return the body of a 2xx answer; else raise the error that it describes.

    Only for our own services' short answers: the connection is closed after one exchange and marks the body's end.
    """
    host, _, port = address.rpartition(":")
    lines = [f"{method} {path} HTTP/1.1", f"host: {address}", "connection: close", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, int(port), limit=_LARGEST)
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split(b" ", 2)[1])
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
        raise Unavailable(f"{address} does not answer: {error}") from error
    if not 200 <= status < 300:
        raise error_of(status, answer)
    return answer


async def _reach(address: str) -> None:
    """Open a connection and close it. Raises OSError or TimeoutError."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(2.0):
        _, writer = await asyncio.open_connection(host, int(port))
    writer.close()


class Questions:
    """What the supervisor asks of its own region."""

    def __init__(self, data_dir: Path, gateway: str, edge: str, registries: tuple[str, ...], front: str = "") -> None:
        self._data_dir = data_dir
        self._gateway = gateway
        self._edge = edge
        self._registries = registries
        self._front = front

    async def is_healthy(self) -> bool:
        """Say whether the front door finds every service and the edge answers, so that a play would succeed."""
        try:
            await speak(self._gateway, "GET", "/healthz", {})
            await speak(self._edge, "GET", "/healthz", {})
            if self._front:
                await _reach(self._front)
        except Exception:  # noqa: BLE001 -- whatever it is, the answer is no
            return False
        return True

    async def instances(self, service: str) -> tuple[Instance, ...]:
        """Return the instances of a service. Raises Unavailable when no registry answers."""
        for address in self._registries:
            try:
                body = await speak(address, "GET", "/v1/registry", self._headers())
            except (Unavailable, TimeoutError):
                continue
            found = msgspec.json.decode(body, type=Registry).instances
            return tuple(instance for instance in found if instance.service == service)
        raise Unavailable("No registry of the region answers.")

    async def registered_since(self, service: str, instance: str, since: float) -> bool:
        """Say whether any registry knows this instance from a start at or after `since` (Unix seconds)."""
        for address in self._registries:
            try:
                body = await speak(address, "GET", "/v1/registry", self._headers(), seconds=2.0)
            except (KinemaError, TimeoutError):
                continue
            for one in msgspec.json.decode(body, type=Registry).instances:
                if (one.service, one.instance) == (service, instance) and started(one) >= since:
                    return True
        return False

    async def call(self, service: str, method: str, path: str, body: object = None) -> bytes:
        """Send a request to the first instance of a service that answers and return the body."""
        encoded = b"" if body is None else msgspec.json.encode(body)
        for instance in await self.instances(service):
            try:
                return await speak(instance.address, method, path, self._headers(), encoded)
            except (Unavailable, TimeoutError):
                continue
        raise Unavailable(f"No instance of {service} answers.")

    async def has_title(self) -> bool:
        """Say whether every catalog instance serves at least one title."""
        try:
            instances = await self.instances("catalog")
            for instance in instances:
                body = await speak(instance.address, "GET", "/v1/titles?limit=1", self._headers())
                if not msgspec.json.decode(body).get("titles"):
                    return False
        except Exception:  # noqa: BLE001 -- whatever it is, the answer is no
            return False
        return bool(instances)

    def _headers(self) -> dict[str, str]:
        return as_service(self._data_dir, "supervisor")
