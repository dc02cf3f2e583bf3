"""What stands between a caller and one instance: its circuit breaker, its adaptive limit and its bulkhead (`kinema.resilience`).

They are kept for each instance, so that one that is slow or failing takes neither the places nor the trust of the others. The
limit learns from timed calls; a call that may take as long as it likes (an upload) only takes a place of the bulkhead.
"""

from collections.abc import Callable

import msgspec

from kinema.core.clock import Clock
from kinema.resilience.breaker import BreakerConfig, CircuitBreaker, State
from kinema.resilience.bulkhead import Bulkhead
from kinema.resilience.limiter import Limiter
from kinema.resilience.limits import limit
from kinema.rpc.balance.outcome import Outcome

_CLOSED = frozenset({State.CLOSED, State.FORCED_CLOSED})
_FAILURES = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REFUSED})


class GuardLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How each instance is guarded. Numbers are of calls under way at once from one process.

    The limit begins at `first` and stays between `least` and `most`. It is there for an instance that hangs. One that is only
    busy sheds by class (`kinema.resilience.shedding`), which a limit of its callers cannot; so the least is above what our
    services let in at once, and an answer that was shed teaches the limit nothing.
    """

    breaker: BreakerConfig = BreakerConfig()
    first: int = 300
    least: int = 200
    most: int = 1000
    places: int = 1000


class Guards:
    """`takes` asks, `begin` takes what it said it would, `end` gives back and tells how it went."""

    __slots__ = ("_changed", "breaker", "bulkhead", "closed", "limiter", "places")

    def __init__(self, clock: Clock, limits: GuardLimits, changed: Callable[[], None]) -> None:
        self.breaker = CircuitBreaker(clock, limits.breaker)
        self.limiter = Limiter(limit(first=limits.first, least=limits.least, most=limits.most), clock)
        self.bulkhead = Bulkhead(limits.places)
        self.places = limits.places
        self.closed = True
        self._changed = changed
        self.breaker.listen(self._breaker_changed)

    def takes(self) -> bool:
        """Say whether a call may begin now; changes nothing."""
        limiter = self.limiter
        return (
            (self.closed or self.breaker.would_allow())
            and limiter.in_flight < limiter.limit
            and self.bulkhead.in_use < self.places
        )

    @property
    def lets(self) -> bool:
        """Whether the breaker would let a call through; it may still be full."""
        return self.closed or self.breaker.would_allow()

    def begin(self, *, timed: bool) -> None:
        """A call begins."""
        if not self.closed:
            self.breaker.allow()
        if timed:
            self.limiter.try_acquire()
        self.bulkhead.try_acquire()

    def end(self, outcome: Outcome, seconds: float | None) -> None:
        """A call is over; `seconds` is None for one that was not timed."""
        self.bulkhead.release()
        if outcome is Outcome.ANSWERED:
            self.breaker.success(seconds or 0.0)
            if seconds is not None:
                self.limiter.release(seconds)
            return
        if outcome in _FAILURES:
            self.breaker.failure(seconds or 0.0)
        else:
            self.breaker.release(seconds or 0.0)
        if seconds is not None and outcome is Outcome.TIMED_OUT:
            self.limiter.release(seconds, dropped=True)
        elif seconds is not None:
            self.limiter.ignore()

    def order(self, config: BreakerConfig, held: State | None) -> None:
        """Have the breaker go by these figures, and hold it in this forced state; None: it decides by itself."""
        self.breaker.reconfigure(config)
        if held is State.FORCED_OPEN:
            self.breaker.force_open()
        elif held is State.FORCED_CLOSED:
            self.breaker.force_closed()
        else:
            self.breaker.automatic()

    def _breaker_changed(self, old: State, new: State) -> None:
        del old
        self.closed = new in _CLOSED
        self._changed()
