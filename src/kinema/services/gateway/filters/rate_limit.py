"""Nobody may ask more often than agreed: for each address before anything else is done, for each account once it is known.

Over the limit, the answer is 429 with Retry-After. Every answer says what is left, in the fields of the IETF's "RateLimit header
fields for HTTP" (draft-ietf-httpapi-ratelimit-headers): the policy ("2000 at once in a window of 2 s") and the rest. Addresses of IPv6
count by their /64, which is what one household gets. The limit itself is GCRA (kinema.resilience), in the memory of this process
or in Redis for all gateways together; while Redis does not answer, each process counts by itself.
"""

import math
from collections.abc import Awaitable
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.resilience.errors import RateLimited
from kinema.resilience.rate_limit import RateLimiter
from kinema.services.gateway.config import Rate
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.resilience.rate_limit_redis import RedisRateLimiter
    from kinema.services.gateway.filters import Parts

_MOST_ADDRESSES = 4096


class _Limit:
    """One policy: judges a key, and says on the passage what is left."""

    def __init__(self, name: str, rate: Rate, parts: "Parts") -> None:
        self.on = rate.per_second > 0
        self._name = name
        self._rate = rate.per_second if self.on else 1.0
        self._burst = rate.burst
        self._limiter = RateLimiter(parts.clock, self._rate, rate.burst)
        self._shared: RedisRateLimiter | None = None
        if self.on and parts.config.rate_limit.redis_url:
            from kinema.resilience import rate_limit_redis

            self._redis = rate_limit_redis.connect(parts.config.rate_limit.redis_url)
            self._shared = rate_limit_redis.RedisRateLimiter(
                self._redis, parts.clock, f"kinema:{name}", self._rate, rate.burst
            )
        policy = f'"{name}";q={rate.burst};w={max(1, math.ceil(rate.burst / self._rate))}'
        self._policy = encode_fields(((b"ratelimit-policy", policy.encode()),))
        self._last = -1
        self._line = b""

    def take(self, passage: Passage, key: str) -> Awaitable[None] | None:
        """Count a request and tell the client what is left. Raises RateLimited."""
        if self._shared is not None:
            return self._take_shared(self._shared, passage, key)
        left = int(self._limiter.left_after(key, passage.begun))
        if left == self._last and left >= 0:
            passage.lines.append(self._line)
            return None
        self._tell(passage, left)
        if left < 0:
            raise self._refusal(self._limiter.take_now(key).retry_after)
        return None

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._shared is not None:
            await self._redis.aclose()

    async def _take_shared(self, shared: "RedisRateLimiter", passage: Passage, key: str) -> None:
        verdict = await shared.take(key)
        self._tell(passage, verdict.remaining)
        if not verdict.allowed:
            raise self._refusal(verdict.retry_after)

    def _tell(self, passage: Passage, left: int) -> None:
        if (
            left != self._last
        ):  # most clients are far from their limit, so the last line is nearly always this one's too
            self._last = left
            rest = max(0, left)
            field = f'"{self._name}";r={rest};t={math.ceil((self._burst - rest) / self._rate)}'
            self._line = self._policy + encode_fields(((b"ratelimit", field.encode()),))
        passage.lines.append(self._line)

    def _refusal(self, seconds: float) -> RateLimited:
        wait = max(1, math.ceil(seconds))
        return RateLimited(
            f"More requests than are taken from one {self._name}; try again in {wait} s.", retry_after=seconds
        )


class AddressRate:
    """Limits what comes from one address."""

    order: ClassVar[int] = 15
    section: ClassVar[str] = "rate_limit"

    def __init__(self, parts: "Parts") -> None:
        self._limit = _Limit("address", parts.config.rate_limit.address, parts)
        self._keys: dict[str, str] = {}

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything that is not our own page or our own health."""
        del opened
        return self._limit.on and route.endpoint not in {"pages", "health"}

    def apply(self, passage: Passage) -> Awaitable[None] | None:
        """Raise RateLimited for an address that asks too often."""
        client = passage.client
        return self._limit.take(passage, client if ":" not in client else self._network(client))

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._limit.close()

    def _network(self, client: str) -> str:
        """Return the first 64 bits of an IPv6 address; what is none, as it is."""
        key = self._keys.get(client)
        if key is None:
            try:
                key = str(IPv6Address(int(IPv6Address(client.partition("%")[0])) >> 64 << 64))
            except ValueError:
                key = client
            if len(self._keys) >= _MOST_ADDRESSES:
                self._keys.clear()
            self._keys[client] = key
        return key


class AccountRate:
    """Limits what is done for one account, from wherever it comes."""

    order: ClassVar[int] = 45
    section: ClassVar[str] = "rate_limit"

    def __init__(self, parts: "Parts") -> None:
        self._limit = _Limit("account", parts.config.rate_limit.account, parts)

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Whatever needs an identity."""
        del route
        return self._limit.on and not opened

    def apply(self, passage: Passage) -> Awaitable[None] | None:
        """Raise RateLimited for an account that asks too often."""
        return None if passage.session is None else self._limit.take(passage, passage.session.who.account)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._limit.close()
