"""Rate limits that all processes share, in Redis or Valkey: the same algorithm as `gcra.py` as a script that runs there.

    one script, one key          atomic: nobody comes between reading and writing
    the time is Redis's own      machines whose clocks differ still agree
    the key expires              when its burst is whole again, which is when it need not be remembered
    the script is sent once      afterwards its digest (EVALSHA); again when the server has lost it (NOSCRIPT)

While Redis does not answer, each process limits by itself, in memory, and asks Redis again after a second: a limit is not worth
an outage. `n` processes then let through up to n times the rate.
"""

import hashlib
import logging
import math
from typing import cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoScriptError, RedisError

from kinema.core.clock import Clock
from kinema.resilience.gcra import Verdict
from kinema.resilience.rate_limit import RateLimiter, check_key, check_rate

_log = logging.getLogger(__name__)

_CONNECTIONS = 16
_CALL_SECONDS = 0.1
_ALONE_SECONDS = 1.0

_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local rate, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local arrival = tonumber(redis.call('GET', KEYS[1]) or '0')
local base = math.max(arrival, now)
local new = base + cost / rate
local over = new - now - burst / rate
if over > 0.000001 then
    local remaining = math.floor((burst / rate - (base - now) + 0.000001) * rate)
    return {0, math.min(burst, math.max(0, remaining)), string.format('%.6f', over), string.format('%.6f', base - now)}
end
redis.call('SET', KEYS[1], string.format('%.6f', new), 'PX', math.ceil((new - now) * 1000))
return {1, math.min(burst, math.floor((0.000001 - over) * rate)), '0', string.format('%.6f', new - now)}
"""
_DIGEST = hashlib.sha1(_SCRIPT.encode()).hexdigest()  # noqa: S324 (it is what Redis names scripts by)


def connect(url: str, call_seconds: float = _CALL_SECONDS) -> Redis:
    """Return a client whose calls end after `call_seconds`; `url` begins with redis://, rediss:// or unix://. Close it at the end."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=call_seconds,
        socket_timeout=call_seconds,
        socket_connect_timeout=call_seconds,
        retry=Retry(NoBackoff(), 1, (LostConnection,)),
        protocol=2,
    )
    return Redis.from_pool(pool)


class RedisRateLimiter:
    """`rate` calls a second for each key, `burst` at once, for all processes that name the limit alike on this server."""

    __slots__ = ("_alone_until", "_clock", "_local", "_name", "_redis", "burst", "rate")

    def __init__(self, redis: Redis, clock: Clock, name: str, rate: float, burst: int) -> None:
        check_rate(rate, burst)
        self._redis = redis
        self._clock = clock
        self._name = name
        self._local = RateLimiter(clock, rate, burst)
        self._alone_until = -math.inf
        self.rate = rate
        self.burst = burst

    async def take(self, key: str, cost: int = 1) -> Verdict:
        """Judge a call and count it if it passes."""
        check_key(key, cost)
        if self._clock.monotonic() >= self._alone_until:
            try:
                return await self._ask(f"{self._name}:{key}", cost)
            except (RedisError, OSError) as error:
                _log.warning("limiting %s in this process alone: Redis does not answer: %s", self._name, error)
                self._alone_until = self._clock.monotonic() + _ALONE_SECONDS
        return self._local.take_now(key, cost)

    async def _ask(self, key: str, cost: int) -> Verdict:
        words = (1, key, repr(self.rate), str(self.burst), str(cost))
        try:
            said = await self._redis.evalsha(_DIGEST, *words)
        except NoScriptError:
            said = await self._redis.eval(_SCRIPT, *words)
        allowed, remaining, retry_after, reset_after = cast("tuple[int, int, bytes, bytes]", said)
        wait = math.inf if not allowed and cost > self.burst else float(retry_after)
        return Verdict(bool(allowed), 0.0, remaining, wait, float(reset_after))
