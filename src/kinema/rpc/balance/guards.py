"""What stands between a caller and one instance: its circuit breaker, its adaptive limit and its bulkhead (`kinema.resilience`).

They are kept for each instance, so that one that is slow or failing takes neither the places nor the trust of the others. The
limit learns from timed calls; a call that may take as long as it likes (an upload) only takes a place of the bulkhead.
"""

from collections.abc import Callable, Sequence

import msgspec

from kinema.core.clock import Clock
from kinema.resilience.breaker import BreakerConfig, CircuitBreaker, State
from kinema.resilience.bulkhead import BulkheadSnapshot
from kinema.resilience.limiter import Limiter
from kinema.resilience.limits import limit
from kinema.rpc.balance.outcome import Outcome

_CLOSED = frozenset({State.CLOSED, State.FORCED_CLOSED})
_FAILURES = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REFUSED})
_TELLING = frozenset({Outcome.ANSWERED, Outcome.TIMED_OUT})  # of what an instance can do


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
    """`takes` asks, `begin` takes what it said it would, `end` gives back and tells how it went.

    Of answers, which are the rule, breaker and limit may hear several at once: each is given `back`, and `learn` tells of all.
    """

    __slots__ = ("_changed", "_ended", "_most", "breaker", "closed", "in_use", "limit", "limiter", "places")

    def __init__(self, clock: Clock, limits: GuardLimits, changed: Callable[[], None]) -> None:
        self.breaker = CircuitBreaker(clock, limits.breaker)
        self.limiter = Limiter(limit(first=limits.first, least=limits.least, most=limits.most), clock)
        self.limit = self.limiter.limit  # as of the last time it learnt
        self.places = limits.places
        self.in_use = 0  # places of the bulkhead
        self.closed = True
        self._ended = 0  # calls that are over
        self._most = 0  # timed calls under way at once since it learnt
        self._changed = changed
        self.breaker.listen(self._breaker_changed)

    def takes(self) -> bool:
        """Say whether a call may begin now; changes nothing."""
        return (
            (self.closed or self.breaker.would_allow())
            and self.limiter.in_flight < self.limit
            and self.in_use < self.places
        )

    @property
    def lets(self) -> bool:
        """Whether the breaker would let a call through; it may still be full."""
        return self.closed or self.breaker.would_allow()

    def begin(self, *, timed: bool) -> None:
        """A call begins."""
        if not self.closed:
            self.breaker.allow()
        self.in_use += 1
        if timed:
            limiter = self.limiter
            limiter.take()
            self._most = max(self._most, limiter.in_flight)

    def back(self) -> None:
        """A timed call was answered; `learn` tells how long it took."""
        self.in_use -= 1
        self._ended += 1
        self.limiter.ignore()

    def learn(self, answers: Sequence[float], at: float) -> None:
        """Calls that were given `back` took so many seconds, in the order in which they ended, the last one at `at`."""
        self.breaker.successes(answers, at)
        self.limiter.learn(answers, at, self._most)
        self.limit = self.limiter.limit
        self._most = self.limiter.in_flight

    def end(self, outcome: Outcome, seconds: float | None) -> None:
        """A call is over; `seconds` is None for one that was not timed."""
        self.in_use -= 1
        self._ended += 1
        if outcome is Outcome.ANSWERED:
            self.breaker.success(seconds or 0.0)
        elif outcome in _FAILURES:
            self.breaker.failure(seconds or 0.0)
        else:
            self.breaker.release(seconds or 0.0)
        if seconds is not None and outcome in _TELLING:
            self.limiter.release(seconds, dropped=outcome is Outcome.TIMED_OUT)
            self.limit = self.limiter.limit
        elif seconds is not None:
            self.limiter.ignore()

    def places_snapshot(self) -> BulkheadSnapshot:
        """Return the places as a bulkhead shows them; nobody waits for one."""
        return BulkheadSnapshot(
            most=self.places,
            queue=0,
            in_use=self.in_use,
            waiting=0,
            admitted=self._ended + self.in_use,
            refused=0,
            expired=0,
        )

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
