"""What breakers, limits and bulkheads do, as the stream that Hystrix dashboards and Turbine read.

    every 500 ms     for each command `data: {"type":"HystrixCommand",...}`, for each bulkhead or limit
                     `data: {"type":"HystrixThreadPool",...}`, then `ping: `; each ends with an empty line
    over 5 readers   503

The names are those that Hystrix's SerialHystrixDashboardData writes (github.com/Netflix/Hystrix). Ours have no threads: a command
is a semaphore's, its pool a bulkhead or an adaptive limit, whose present limit is the pool's size. What has no counterpart here
(request cache, collapsing, emitted items) is zero or false. Times are whole milliseconds.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from kinema.core.clock import Clock
from kinema.core.errors import Unavailable
from kinema.resilience.breaker import BreakerSnapshot, State
from kinema.resilience.bulkhead import BulkheadSnapshot
from kinema.resilience.latencies import PERCENTILES, LatencySnapshot
from kinema.resilience.limiter import LimiterSnapshot
from kinema.resilience.policy import PolicySnapshot

MEDIA_TYPE = "text/event-stream;charset=UTF-8"

_SECONDS = 0.5
_READERS = 5
_COMMANDS = 500  # more are left out: nobody could look at them
_WINDOW = 10.0
_NO_LATENCY = LatencySnapshot(0, 0.0, (0.0,) * len(PERCENTILES))
_OPEN = frozenset({State.OPEN, State.HALF_OPEN, State.FORCED_OPEN})


class Command(Struct, frozen=True, kw_only=True):
    """Something that is called: the snapshots of whatever guards it. `policy` brings those of its own parts."""

    name: str
    group: str
    breaker: BreakerSnapshot | None = None
    limiter: LimiterSnapshot | None = None
    bulkhead: BulkheadSnapshot | None = None
    policy: PolicySnapshot | None = None


def command_of(policy: PolicySnapshot, group: str) -> Command:
    """Return a policy as a command."""
    return Command(
        name=policy.name,
        group=group,
        breaker=policy.breaker,
        limiter=policy.limiter,
        bulkhead=policy.bulkhead,
        policy=policy,
    )


class Use(Struct, frozen=True):
    """What became of a command's pool over the last ten seconds."""

    admitted: int = 0
    refused: int = 0
    most: int = 0


def command_event(command: Command, now: float, use: Use) -> dict[str, object]:
    """Return the members of a HystrixCommand event; `now` in seconds since the epoch."""
    counts = _counts(command, use)
    breaker = command.breaker
    config = breaker.config if breaker is not None else None
    success, failure, timeout = counts.get("success", 0), counts.get("failure", 0), counts.get("timeout", 0)
    rejected = counts.get("bulkhead_full", 0) + counts.get("limit_reached", 0) + counts.get("rate_limited", 0)
    errors = failure + timeout + rejected
    requests = success + errors
    executed = breaker.latency if breaker is not None else _NO_LATENCY
    total = command.policy.latency if command.policy is not None else executed
    deadline = command.policy.deadline if command.policy is not None else None
    places = _places(command)
    return {
        "type": "HystrixCommand",
        "name": command.name,
        "group": command.group,
        "currentTime": int(now * 1000),
        "isCircuitBreakerOpen": breaker is not None and breaker.state in _OPEN,
        "errorPercentage": errors * 100 // requests if requests else 0,
        "errorCount": errors,
        "requestCount": requests,
        "rollingCountBadRequests": counts.get("bad_request", 0),
        "rollingCountCollapsedRequests": 0,
        "rollingCountEmit": 0,
        "rollingCountExceptionsThrown": max(0, errors + counts.get("bad_request", 0) - counts.get("fallback", 0)),
        "rollingCountFailure": failure,
        "rollingCountFallbackEmit": 0,
        "rollingCountFallbackFailure": counts.get("fallback_failed", 0),
        "rollingCountFallbackMissing": 0,
        "rollingCountFallbackRejection": 0,
        "rollingCountFallbackSuccess": counts.get("fallback", 0),
        "rollingCountResponsesFromCache": 0,
        "rollingCountSemaphoreRejected": rejected,
        "rollingCountShortCircuited": counts.get("short_circuited", 0),
        "rollingCountSuccess": success,
        "rollingCountThreadPoolRejected": 0,
        "rollingCountTimeout": timeout,
        "currentConcurrentExecutionCount": _in_flight(command),
        "rollingMaxConcurrentExecutionCount": use.most,
        "latencyExecute_mean": _ms(executed.mean),
        "latencyExecute": _percentiles(executed),
        "latencyTotal_mean": _ms(total.mean),
        "latencyTotal": _percentiles(total),
        "propertyValue_circuitBreakerRequestVolumeThreshold": config.minimum_calls if config is not None else 0,
        "propertyValue_circuitBreakerSleepWindowInMilliseconds": _ms(config.sleep_seconds) if config is not None else 0,
        "propertyValue_circuitBreakerErrorThresholdPercentage": (
            round(config.failure_rate * 100) if config is not None else 0
        ),
        "propertyValue_circuitBreakerForceOpen": breaker is not None and breaker.state is State.FORCED_OPEN,
        "propertyValue_circuitBreakerForceClosed": breaker is not None and breaker.state is State.FORCED_CLOSED,
        "propertyValue_circuitBreakerEnabled": breaker is not None,
        "propertyValue_executionIsolationStrategy": "SEMAPHORE",
        "propertyValue_executionIsolationThreadTimeoutInMilliseconds": _ms(deadline or 0.0),
        "propertyValue_executionTimeoutInMilliseconds": _ms(deadline or 0.0),
        "propertyValue_executionIsolationThreadInterruptOnTimeout": deadline is not None,
        "propertyValue_executionIsolationThreadPoolKeyOverride": None,
        "propertyValue_executionIsolationSemaphoreMaxConcurrentRequests": places,
        "propertyValue_fallbackIsolationSemaphoreMaxConcurrentRequests": places,
        "propertyValue_metricsRollingStatisticalWindowInMilliseconds": _ms(_WINDOW),
        "propertyValue_requestCacheEnabled": False,
        "propertyValue_requestLogEnabled": False,
        "reportingHosts": 1,
        "threadPool": command.name,
    }


def pool_event(command: Command, now: float, use: Use) -> dict[str, object] | None:
    """Return the members of a HystrixThreadPool event, None for a command without bulkhead and limit."""
    bulkhead, limiter = command.bulkhead, command.limiter
    if bulkhead is not None:
        active, waiting, queue, admitted = bulkhead.in_use, bulkhead.waiting, bulkhead.queue, bulkhead.admitted
    elif limiter is not None:
        active, waiting, queue, admitted = limiter.in_flight, 0, 0, limiter.admitted
    else:
        return None
    places = _places(command)
    return {
        "type": "HystrixThreadPool",
        "name": command.name,
        "currentTime": int(now * 1000),
        "currentActiveCount": active,
        "currentCompletedTaskCount": max(0, admitted - active),
        "currentCorePoolSize": places,
        "currentLargestPoolSize": places,
        "currentMaximumPoolSize": places,
        "currentPoolSize": places,
        "currentQueueSize": waiting,
        "currentTaskCount": admitted,
        "rollingCountThreadsExecuted": use.admitted,
        "rollingMaxActiveThreads": use.most,
        "rollingCountCommandRejections": use.refused,
        "propertyValue_queueSizeRejectionThreshold": queue,
        "propertyValue_metricsRollingStatisticalWindowInMilliseconds": _ms(_WINDOW),
        "reportingHosts": 1,
    }


class HystrixStream:
    """Counts its readers and makes what they are sent. `commands` is asked for the snapshots of now."""

    def __init__(self, clock: Clock, commands: Callable[[], Iterable[Command]]) -> None:
        self._clock = clock
        self._commands = commands
        self._past: dict[str, deque[tuple[float, int, int, int]]] = {}
        self.readers = 0

    def open(self) -> "Reader":
        """Return what one reader is sent. Raises Unavailable (503) beyond five; close it at the end."""
        if self.readers >= _READERS:
            raise Unavailable(f"{_READERS} dashboards read this stream already; close one or ask another instance.")
        self.readers += 1
        return Reader(self, self._clock)

    def frame(self) -> bytes:
        """Return the events of now and a ping."""
        steady, now = self._clock.monotonic(), self._clock.now()
        parts: list[bytes] = []
        seen: dict[str, deque[tuple[float, int, int, int]]] = {}
        for command in self._commands():
            if len(seen) >= _COMMANDS:
                break
            use = self._use(command, steady)
            seen[command.name] = self._past[command.name]
            parts.append(msgspec.json.encode(command_event(command, now, use)))
            pool = pool_event(command, now, use)
            if pool is not None:
                parts.append(msgspec.json.encode(pool))
        self._past = seen
        return b"".join(b"data: %s\n\n" % part for part in parts) + b"ping: \n\n"

    def _use(self, command: Command, steady: float) -> Use:
        """Compare with what was counted ten seconds ago: the parts count since their start."""
        counted = command.bulkhead or command.limiter
        admitted, refused = (counted.admitted, counted.refused) if counted is not None else (0, 0)
        past = self._past.setdefault(command.name, deque(maxlen=64))
        if not past or steady - past[-1][0] >= _SECONDS / 2:  # several readers do not make it longer
            past.append((steady, admitted, refused, _in_flight(command)))
        while steady - past[0][0] > _WINDOW:
            past.popleft()
        return Use(admitted - past[0][1], refused - past[0][2], max(one[3] for one in past))


class Reader:
    """One connection: an async iterator of bytes, at once and then every 500 ms until it is closed."""

    def __init__(self, stream: HystrixStream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while not self._closed:
                yield self._stream.frame()
                await self._clock.sleep(_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """Make room for another reader; once is enough."""
        if not self._closed:
            self._closed = True
            self._stream.readers -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def _counts(command: Command, use: Use) -> dict[str, int]:
    """Return a policy's counts; without one, what the parts alone can tell (a time-out is a failure to a breaker)."""
    if command.policy is not None:
        return command.policy.counts
    breaker = command.breaker
    counts = {"limit_reached": use.refused}
    if breaker is not None:
        counts["success"] = breaker.calls - breaker.failures
        counts["failure"] = breaker.failures
        counts["short_circuited"] = breaker.refused
    return counts


def _in_flight(command: Command) -> int:
    if command.policy is not None:
        return command.policy.in_flight
    if command.bulkhead is not None:
        return command.bulkhead.in_use
    return command.limiter.in_flight if command.limiter is not None else 0


def _places(command: Command) -> int:
    """Return how many calls may be under way, 0 when nothing bounds them."""
    places = [command.bulkhead.most] if command.bulkhead is not None else []
    if command.limiter is not None:
        places.append(command.limiter.limit)
    return min(places, default=0)


def _percentiles(latency: LatencySnapshot) -> dict[str, int]:
    return {f"{percent:g}": _ms(seconds) for percent, seconds in zip(PERCENTILES, latency.percentiles, strict=True)}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
