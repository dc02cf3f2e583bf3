"""Several servers as one cache: every key belongs to one of them, by rendezvous hashing (Thaler and Ravishankar, 1998).

    each server scores each key by a hash of both; the key belongs to the server with the highest score

So every process finds the same server without asking anybody, and when one server is added or taken away only the keys that it
gets or had move. A server that fails keeps its keys, which are misses meanwhile: to move them would leave old values
behind that are found again when it is back. Its breaker keeps callers from waiting for it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Unavailable
from kinema.storage.cache_breaker import Breaker
from kinema.storage.ports import Cache, check_cache_entry, check_cache_key, check_cache_keys

T = TypeVar("T")

_LONG_SECONDS = (
    0.05  # a call that is cancelled after this says something about the server; before, only about the caller
)


class ShardedCache:
    """The `Cache` port on one cache for each name. It owns them; `breakers` makes the breaker of one from its name."""

    def __init__(self, shards: Mapping[str, Cache], clock: Clock, breakers: Callable[[str], Breaker]) -> None:
        if not shards:
            raise BadInput("A cache of no servers holds nothing; name at least one.")
        self._shards = dict(shards)
        self._seeds = {name: name.encode() + b"\n" for name in shards}
        self._breakers = {name: breakers(name) for name in shards}
        self._clock = clock

    def shard_of(self, key: str) -> str:
        """Return the name of the server that a key belongs to."""
        name = key.encode()
        return max(self._seeds, key=lambda shard: blake2b(self._seeds[shard] + name, digest_size=8).digest())

    async def get(self, key: str) -> bytes | None:
        """Return the value; see the port."""
        check_cache_key(key)
        shard = self.shard_of(key)
        return await self._call(shard, self._shards[shard].get(key))

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that have one; see the port. `Unavailable` when no server answers."""
        check_cache_keys(keys)
        by_shard: dict[str, list[str]] = {}
        for key in keys:
            by_shard.setdefault(self.shard_of(key), []).append(key)
        answers = await asyncio.gather(
            *(self._call(shard, self._shards[shard].get_many(own)) for shard, own in by_shard.items()),
            return_exceptions=True,
        )
        found: dict[str, bytes] = {}
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        for failure in failures:
            if not isinstance(failure, Unavailable) or len(failures) == len(answers):
                raise failure
        for answer in answers:
            if isinstance(answer, dict):
                found |= answer
        return found

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value; see the port."""
        check_cache_entry(key, value, ttl)
        shard = self.shard_of(key)
        return await self._call(shard, self._shards[shard].set(key, value, ttl))

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value if there is none; see the port."""
        check_cache_entry(key, value, ttl)
        shard = self.shard_of(key)
        return await self._call(shard, self._shards[shard].add(key, value, ttl))

    async def delete(self, key: str) -> bool:
        """Remove a value; see the port."""
        check_cache_key(key)
        shard = self.shard_of(key)
        return await self._call(shard, self._shards[shard].delete(key))

    async def close(self) -> None:
        """Close all servers' caches; see the port."""
        for shard in self._shards.values():
            await shard.close()

    async def _call(self, shard: str, call: Coroutine[Any, Any, T]) -> T:
        breaker = self._breakers[shard]
        if not breaker.allow():
            call.close()
            raise Unavailable(f"The cache server {shard} has failed too often; it is tried again shortly.")
        began = self._clock.monotonic()
        try:
            answer = await call
        except Unavailable:
            breaker.failure(self._clock.monotonic() - began)
            raise
        except BaseException:
            seconds = self._clock.monotonic() - began
            # A server that hangs is known by calls that were ended from above because they took too long.
            (breaker.failure if seconds >= _LONG_SECONDS else breaker.release)(seconds)
            raise
        breaker.success(self._clock.monotonic() - began)
        return answer
