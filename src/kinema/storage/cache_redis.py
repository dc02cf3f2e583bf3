"""A cache in Redis or Valkey, through redis.asyncio. Valkey speaks Redis's protocol, so both are one engine (RESP 2).

The server should have a limit on its memory and a policy of eviction (`maxmemory 1gb`, `maxmemory-policy allkeys-lfu`):
without them a full server refuses writes, which is `Unavailable` here.

A call takes one connection of a bounded pool, in the order of arrival. A connection on which a call was cancelled or came to
its time-out is closed, never given to the next one, which would read the answer to this one. A call that finds its
connection closed, as after the server's restart, is sent once more on a new one: all calls here may be repeated except `add`,
which may then say False about a value that it stored itself.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError, ResponseError

from kinema.core.errors import BadInput, Unavailable
from kinema.storage.ports import check_cache_entry, check_cache_key, check_cache_keys

_CONNECTIONS = 16
_CALL_SECONDS = 1.0


class RedisCache:
    """The `Cache` port on one Redis or Valkey; `url` begins with redis:// or, for TLS, rediss://."""

    def __init__(self, url: str, call_seconds: float = _CALL_SECONDS) -> None:
        parts = urlsplit(url)
        self._name = f"{parts.hostname}:{parts.port or 6379}"
        self._call_seconds = call_seconds
        self._closed = False
        # redis-py's own blocking pool lets whoever comes first have what is given back, however long others have waited.
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        pool = ConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            socket_timeout=call_seconds,
            socket_connect_timeout=call_seconds,
            retry=Retry(NoBackoff(), 1, (LostConnection,)),
            protocol=2,
            driver_info=None,
        )
        self._redis: Redis = Redis.from_pool(pool)

    async def get(self, key: str) -> bytes | None:
        """Return the value; see the port."""
        check_cache_key(key)
        value: bytes | None = await self._call("GET", key)
        return value

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that have one; see the port."""
        check_cache_keys(keys)
        if not keys:
            return {}
        values = await self._call("MGET", *keys)
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value; see the port."""
        check_cache_entry(key, value, ttl)
        await self._call("SET", key, bytes(value), "PX", _milliseconds(ttl))
        return True

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value if there is none; see the port."""
        check_cache_entry(key, value, ttl)
        return bool(await self._call("SET", key, bytes(value), "PX", _milliseconds(ttl), "NX"))

    async def delete(self, key: str) -> bool:
        """Remove a value; see the port."""
        check_cache_key(key)
        await self._call("DEL", key)
        return True

    async def close(self) -> None:
        """Close the connections; see the port."""
        self._closed = True
        await self._redis.aclose(close_connection_pool=True)

    async def _call(self, *command: str | bytes | int) -> Any:
        """Return the server's answer to a command; bounded in time, and what goes wrong is `Unavailable`."""
        if self._closed:
            raise Unavailable(f"The cache at {self._name} has been closed here.")
        try:
            async with asyncio.timeout(self._call_seconds), self._turns:
                return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call] # so it is there
        except TimeoutError as error:
            raise Unavailable(f"The cache at {self._name} has not answered for {self._call_seconds} s.") from error
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):  # somebody else keeps a list or the like there, which is no value
                return None
            raise Unavailable(f"The cache at {self._name} refuses: {str(error)[:200]}") from error
        except (RedisError, OSError) as error:
            raise Unavailable(f"The cache at {self._name} cannot be used: {str(error)[:200]}") from error


def open_redis(data_dir: Path, url: str) -> RedisCache:  # noqa: ARG001 -- the signature of all rows
    """Row of `engines.CACHES`: `redis://user:password@host:port/database`, rediss:// for TLS, valkey:// for the same."""
    scheme, _, rest = url.partition("://")
    address = f"{scheme.replace('valkey', 'redis')}://{rest}"
    parts = urlsplit(address)
    database = parts.path.strip("/")
    try:
        usable = bool(parts.hostname) and not parts.query and (not database or database.isdecimal()) and parts.port != 0
    except ValueError:  # the port is no number
        usable = False
    if not usable:
        raise BadInput("cache_url of a Redis is not understood; write redis://user:password@host:port/database.")
    return RedisCache(address)


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
