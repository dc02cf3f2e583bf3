"""Nobody may ask more often than agreed: for each address before anything else is done, for each account once it is known.

Over the limit, the answer is 429 with Retry-After. Every answer says what is left, in the fields of the IETF's "RateLimit header
fields for HTTP" (draft-ietf-httpapi-ratelimit-headers): the policy ("2000 at once in a window of 2 s") and the rest. Addresses of IPv6
count by their /64, which is what one household gets. The limit itself is GCRA (kinema.resilience), in the memory of this process
or in Redis for all gateways together; when Redis does not answer, each process counts by itself.
"""

import math
from collections.abc import Awaitable
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, ClassVar

from kinema.core.log import get_logger
from kinema.http import encode_fields
from kinema.resilience.errors import RateLimited
from kinema.resilience.gcra import Verdict
from kinema.resilience.rate_limit import RateLimiter
from kinema.services.gateway.config import Rate
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_MOST_ADDRESSES = 4096
_log = get_logger(__name__)


class _Limit:
    """One policy: judges a key, and says on the passage what is left."""

    def __init__(self, name: str, rate: Rate, parts: "Parts") -> None:
        self.on = rate.per_second > 0
        self._name = name
        self._limiter = RateLimiter(parts.clock, rate.per_second if self.on else 1.0, rate.burst)
        window = max(1, math.ceil(rate.burst / rate.per_second)) if self.on else 1
        policy = f'"{name}";q={rate.burst};w={window}'
        self._policy = encode_fields(((b"ratelimit-policy", policy.encode()),))
        self._last = (-1, -1)
        self._line = b""

    def take(self, passage: Passage, key: str) -> None:
        """Count a request. Raises RateLimited."""
        self.judge(passage, self._limiter.take_now(key))

    def judge(self, passage: Passage, verdict: Verdict) -> None:
        """Tell the client what is left. Raises RateLimited."""
        left = (verdict.remaining, math.ceil(verdict.reset_after))
        if (
            left != self._last
        ):  # most clients are far from their limit, so the last line is nearly always this one's too
            self._last = left
            field = f'"{self._name}";r={left[0]};t={left[1]}'
            self._line = self._policy + encode_fields(((b"ratelimit", field.encode()),))
        passage.lines.append(self._line)
        if not verdict.allowed:
            seconds = max(1, math.ceil(verdict.retry_after))
            raise RateLimited(
                f"More requests than are taken from one {self._name}; try again in {seconds} s.",
                retry_after=verdict.retry_after,
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
        self._limit.take(passage, client if ":" not in client else self._network(client))
        return None

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
        if passage.session is not None:
            self._limit.take(passage, passage.session.who.account)
        return None
