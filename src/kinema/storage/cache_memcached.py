"""A cache in memcached, over one connection on which many commands are on their way at once (`memcached_connection`).

The connection is made when a call needs it. Calls that come meanwhile wait for it together, so a server that does not answer
sees one attempt at a time.

No client library is used: docs/adr/0005-memcached-client.md has what the two asyncio clients did with values that look like
protocol and with calls that were cancelled.
"""

import asyncio
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from kinema.core.errors import BadInput, Unavailable
from kinema.storage.memcached_connection import Answer, Connection, Refused
from kinema.storage.ports import check_cache_entry, check_cache_key, check_cache_keys

_PORT = 11211
_CALL_SECONDS = 1.0


class MemcachedCache:
    """The `Cache` port on one memcached."""

    def __init__(self, host: str, port: int = _PORT, call_seconds: float = _CALL_SECONDS) -> None:
        self._host = host
        self._port = port
        self._call_seconds = call_seconds
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        """Return the value; see the port."""
        name = check_cache_key(key).encode()
        answer = await self._call(b"get %b\r\n" % name)
        return answer.get(name) if isinstance(answer, dict) else None

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that have one; see the port."""
        check_cache_keys(keys)
        if not keys:
            return {}
        answer = await self._call(b"get %b\r\n" % " ".join(keys).encode())
        return {key.decode(): value for key, value in answer.items()} if isinstance(answer, dict) else {}

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value; see the port."""
        check_cache_entry(key, value, ttl)
        answer = await self._call(_storing(b"set", key, value, ttl))
        return answer == b"STORED"

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value if there is none; see the port."""
        check_cache_entry(key, value, ttl)
        answer = await self._call(_storing(b"add", key, value, ttl))
        return answer == b"STORED"

    async def delete(self, key: str) -> bool:
        """Remove a value; see the port."""
        await self._call(b"delete %b\r\n" % check_cache_key(key).encode())
        return True

    async def close(self) -> None:
        """Close the connection; see the port."""
        self._closed = True
        if self._connecting is not None:
            await asyncio.wait([self._connecting])  # not cancelled: that would cancel those who wait for it
        if self._connection is not None:
            self._connection.abort("this cache has been closed here")

    async def _call(self, command: bytes) -> Answer:
        if self._closed:
            raise Unavailable(f"The cache at {self._host}:{self._port} has been closed here.")
        try:
            connection = self._connection
            if connection is None or connection.lost or connection.full:
                connection = await self._ready()
            return await connection.send(command)
        except TimeoutError as error:
            raise Unavailable(
                f"The cache at {self._host}:{self._port} has not answered for {self._call_seconds} s."
            ) from error
        except (Refused, OSError) as error:
            raise Unavailable(f"The cache at {self._host}:{self._port} cannot be used: {error}.") from error

    async def _ready(self) -> Connection:
        """Return a connection with room for a command. TimeoutError when there is none in time."""
        async with asyncio.timeout(self._call_seconds):
            connection = self._connection
            if connection is None or connection.lost:
                connection = await self._connect()
            await connection.drained()
            return connection

    async def _connect(self) -> Connection:
        """Return a new connection; whoever calls meanwhile waits for the same one."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._new_connection(), name=f"connect to {self._host}:{self._port}")
        return await asyncio.shield(self._connecting)

    async def _new_connection(self) -> Connection:
        try:
            async with asyncio.timeout(self._call_seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    partial(Connection, self._call_seconds), self._host, self._port
                )
        finally:
            self._connecting = None
        self._connection = connection
        return connection


def open_memcached(data_dir: Path, url: str) -> MemcachedCache:  # noqa: ARG001 -- the signature of all rows
    """Row of `engines.CACHES`: `memcached://host:port`."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # the port is no number
        host = port = None
    if not host or port == 0 or parts.path.strip("/") or parts.query or parts.username:
        raise BadInput("cache_url of a memcached is not understood; write memcached://host:port, without a password.")
    return MemcachedCache(host, port or _PORT)


def _storing(command: bytes, key: str, value: bytes, ttl: float) -> bytes:
    return b"%b %b 0 %d %d\r\n%b\r\n" % (command, key.encode(), math.ceil(ttl), len(value), value)
