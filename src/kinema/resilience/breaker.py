"""The circuit breaker: stop calling what fails, so that it can recover and its callers need not wait for it.

    closed      every call is let through and counted. When the window holds at least `minimum_calls` and the share of
                failures reaches `failure_rate`, or that of slow calls `slow_rate`: open
    open        no call is let through for `sleep_seconds`, then: half-open
    half-open   `probes` calls are let through. As soon as their verdicts are certain to reach a rate: open again.
                When all have come back and none of the rates is reached: closed, counting from zero.
                Probes that do not come back within another `sleep_seconds` are replaced.
    forced      an operator holds it open or closed; closed, it goes on counting

The states are M. Nygard's ("Release It!", 2007), the default figures Hystrix's: 10 s in 10 buckets, 20 calls, 50 %, 5 s, one
probe. Slow-call rates and the window by count are as resilience4j has them. A call that began before the breaker opened
says nothing about the time after; its verdict is dropped, as is that of a call that was never let through.
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum

from msgspec import Struct

from kinema.core.clock import Clock
from kinema.resilience.latencies import Latencies, LatencySnapshot
from kinema.resilience.windows import CountWindow, RollingSums, TimeWindow, Window

_log = logging.getLogger(__name__)


class State(Enum):
    """What the breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    FORCED_OPEN = "forced-open"
    FORCED_CLOSED = "forced-closed"


_COUNTING = frozenset({State.CLOSED, State.FORCED_CLOSED})

Listener = Callable[[State, State], object]


class BreakerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a breaker opens and closes. Rates are shares above 0 and up to 1. Raises ValueError for other figures."""

    window_seconds: float = 10.0
    buckets: int = 10
    window_calls: int = 0
    """Above 0: look at so many last calls instead of the last seconds."""
    minimum_calls: int = 20
    failure_rate: float = 0.5
    slow_seconds: float = 60.0
    """A call that takes longer is slow."""
    slow_rate: float = 1.0
    sleep_seconds: float = 5.0
    probes: int = 1

    def __post_init__(self) -> None:
        for name in ("window_seconds", "slow_seconds", "sleep_seconds"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; give a number of seconds above 0.")
        for name in ("failure_rate", "slow_rate"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; give a share above 0 and up to 1.")
        for name, most in (("buckets", 1000), ("minimum_calls", 1_000_000), ("probes", 1000)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}; give a number from 1 to {most}.")
        if self.window_calls and not self.minimum_calls <= self.window_calls <= 1_000_000:
            raise ValueError(
                f"window_calls is {self.window_calls}; it must hold minimum_calls ({self.minimum_calls}) and "
                "at most a million."
            )


class BreakerSnapshot(Struct, frozen=True, kw_only=True):
    """A breaker at one moment. Counts are of the window; `refused` is of the last ten seconds."""

    state: State
    calls: int
    failures: int
    slow: int
    refused: int
    seconds_in_state: float
    retry_after: float
    """Seconds until a probe may pass; 0.0 unless open."""
    latency: LatencySnapshot
    config: BreakerConfig


class CircuitBreaker:
    """`allow` before each call; when it says True exactly one of `success`, `failure`, `release` after it."""

    __slots__ = (
        "_clock",
        "_config",
        "_latencies",
        "_listeners",
        "_opened_at",
        "_probes_failed",
        "_probes_left",
        "_probes_passed",
        "_probes_slow",
        "_probing_at",
        "_refused",
        "_since",
        "_state",
        "_window",
    )

    def __init__(self, clock: Clock, config: BreakerConfig | None = None) -> None:
        self._clock = clock
        self._config = config = config or BreakerConfig()
        self._window = _window_of(config)
        self._latencies = Latencies()
        self._refused = RollingSums(1, 10.0, 10)
        self._listeners: list[Listener] = []
        self._state = State.CLOSED
        self._since = clock.monotonic()
        self._opened_at = self._probing_at = float("-inf")
        self._probes_left = self._probes_passed = self._probes_failed = self._probes_slow = 0

    @property
    def state(self) -> State:
        """Return the present state; an open breaker whose sleep is over becomes half-open with the next call."""
        return self._state

    def allow(self) -> bool:
        """Say whether a call may be made now."""
        state = self._state
        if state is State.CLOSED or state is State.FORCED_CLOSED:
            return True
        now = self._clock.monotonic()
        if state is State.OPEN and now - self._since >= self._config.sleep_seconds:
            self._become(State.HALF_OPEN, now)
        elif (
            state is State.HALF_OPEN and not self._probes_left and now - self._probing_at >= self._config.sleep_seconds
        ):
            self._begin_probing(now)
        if self._state is State.HALF_OPEN and self._probes_left > 0:
            self._probes_left -= 1
            return True
        self._refused.add(now, 0)
        return False

    def would_allow(self) -> bool:
        """Say what `allow` would say now, without taking a permit."""
        state = self._state
        if state is State.CLOSED or state is State.FORCED_CLOSED:
            return True
        if state is State.FORCED_OPEN:
            return False
        slept = self._clock.monotonic() - self._since >= self._config.sleep_seconds
        return slept or (state is State.HALF_OPEN and self._probes_left > 0)

    def success(self, seconds: float) -> None:
        """The call did what it should, after so many seconds since `allow`."""
        self._ended(seconds, failed=False)

    def successes(self, seconds: Sequence[float], at: float) -> None:
        """Several calls did what they should, the last one at `at`; it took them so long, in the order in which they ended."""
        if self._state in _COUNTING and max(seconds) <= self._config.slow_seconds:
            self._latencies.extend(seconds)
            self._window.answered(at, len(seconds))
        else:
            for one in seconds:
                self._ended(one, failed=False)

    def failure(self, seconds: float) -> None:
        """The call failed in a way that speaks against the callee."""
        self._ended(seconds, failed=True)

    def release(self, seconds: float = 0.0) -> None:
        """The call ended without a verdict (cancelled, refused further on, the caller's own mistake)."""
        if self._state is State.HALF_OPEN and self._is_probe(self._clock.monotonic(), seconds):
            self._probes_left = min(self._probes_left + 1, self._config.probes)

    def force_open(self) -> None:
        """Let no call through until told otherwise."""
        self._become(State.FORCED_OPEN, self._clock.monotonic())

    def force_closed(self) -> None:
        """Let every call through until told otherwise."""
        self._become(State.FORCED_CLOSED, self._clock.monotonic())

    def automatic(self) -> None:
        """End what was forced: begin closed, counting from zero."""
        if self._state in {State.FORCED_OPEN, State.FORCED_CLOSED}:
            self._become(State.CLOSED, self._clock.monotonic())

    def reconfigure(self, config: BreakerConfig) -> None:
        """Go by other figures from now on. What was counted goes on counting unless the window is another one."""
        old, self._config = self._config, config
        if (old.window_calls, old.window_seconds, old.buckets) != (
            config.window_calls,
            config.window_seconds,
            config.buckets,
        ):
            self._window = _window_of(config)
        if self._state is State.HALF_OPEN and old.probes != config.probes:
            self._begin_probing(self._clock.monotonic())

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(old, new)` at every change of state; returns what ends that. Its errors are logged."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def snapshot(self) -> BreakerSnapshot:
        """Return state and figures of now."""
        now = self._clock.monotonic()
        self._window.advance(now)
        self._refused.advance(now)
        sleeping = self._config.sleep_seconds - (now - self._since) if self._state is State.OPEN else 0.0
        return BreakerSnapshot(
            state=self._state,
            calls=self._window.calls,
            failures=self._window.failures,
            slow=self._window.slow,
            refused=self._refused.sums[0],
            seconds_in_state=now - self._since,
            retry_after=max(0.0, sleeping),
            latency=self._latencies.snapshot(),
            config=self._config,
        )

    # -- verdicts ----------------------------------------------------------------------------------------------------

    def _ended(self, seconds: float, *, failed: bool) -> None:
        now = self._clock.monotonic()
        state = self._state
        slow = seconds > self._config.slow_seconds
        if state is State.CLOSED:
            self._latencies.record(seconds)
            self._window.record(now, failed=failed, slow=slow)
            if (failed or slow) and self._over(self._window.calls, self._window.failures, self._window.slow):
                self._become(State.OPEN, now)
        elif state is State.FORCED_CLOSED:
            self._latencies.record(seconds)
            self._window.record(now, failed=failed, slow=slow)
        elif state is State.HALF_OPEN and self._is_probe(now, seconds):
            self._latencies.record(seconds)
            self._probed(now, failed=failed, slow=slow)

    def _over(self, calls: int, failures: int, slow: int) -> bool:
        config = self._config
        return calls >= config.minimum_calls and (
            failures >= config.failure_rate * calls or slow >= config.slow_rate * calls
        )

    def _probed(self, now: float, *, failed: bool, slow: bool) -> None:
        config = self._config
        self._probes_passed += 1
        self._probes_failed += failed
        self._probes_slow += slow
        if (
            self._probes_failed >= config.failure_rate * config.probes
            or self._probes_slow >= config.slow_rate * config.probes
        ):
            self._become(State.OPEN, now)
        elif self._probes_passed >= config.probes:
            self._become(State.CLOSED, now)

    def _is_probe(self, now: float, seconds: float) -> bool:
        """Whether a call that ends now began after the breaker had opened: all that did are probes."""
        return now - seconds > self._opened_at + self._config.sleep_seconds / 2

    # -- changes of state --------------------------------------------------------------------------------------------

    def _become(self, state: State, now: float) -> None:
        old = self._state
        if state is old:
            return
        self._state = state
        self._since = now
        if state is State.OPEN:
            self._opened_at = now
        elif state is State.HALF_OPEN:
            self._begin_probing(now)
        elif state is State.CLOSED:
            self._window.clear()
        for listener in tuple(self._listeners):
            try:
                listener(old, state)
            except Exception:  # noqa: BLE001 -- whoever only listens must not fail the call
                _log.exception("a listener of a circuit breaker failed")

    def _begin_probing(self, now: float) -> None:
        self._probing_at = now
        self._probes_left = self._config.probes
        self._probes_passed = self._probes_failed = self._probes_slow = 0


def _window_of(config: BreakerConfig) -> Window:
    return (
        CountWindow(config.window_calls) if config.window_calls else TimeWindow(config.window_seconds, config.buckets)
    )
