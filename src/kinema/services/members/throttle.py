"""How often somebody may try a password: the generic cell rate algorithm, a pure function, and a bounded memory for it.

GCRA in words: each key has a theoretical arrival time (TAT), the moment at which its past attempts would all have been
due had they come evenly, one each `interval`. An attempt is allowed when the TAT is at most `interval * (burst - 1)` ahead
of now, and moves it on by one interval. So `burst` attempts may come at once and one more for each interval that passes.
"""

import msgspec
from cachebox import LRUCache

from kinema.core.clock import Clock
from kinema.core.errors import TooMany

_KEPT = 20_000  # keys in memory; the least recently used is forgotten first


class Rate(msgspec.Struct, frozen=True):
    """One attempt each `interval` seconds, and up to `burst` at once."""

    interval: float
    burst: int


class Decision(msgspec.Struct, frozen=True):
    """Whether the attempt may be made, the TAT to keep, and how many seconds to wait when it may not."""

    allowed: bool
    tat: float
    retry_after: float


def gcra(tat: float, now: float, rate: Rate) -> Decision:
    """Decide about an attempt at `now`, given the key's TAT so far (0 for a new key). Both are in seconds of one clock."""
    begin = max(tat, now)
    wait = begin - now - rate.interval * (rate.burst - 1)
    if wait > 0:
        return Decision(allowed=False, tat=tat, retry_after=wait)
    return Decision(allowed=True, tat=begin + rate.interval, retry_after=0.0)


class Throttle:
    """Counts attempts by key. In memory, so each instance of the service counts for itself."""

    def __init__(self, clock: Clock, rate: Rate) -> None:
        self._clock = clock
        self._rate = rate
        self._tats: LRUCache[str, float] = LRUCache(_KEPT)

    def attempt(self, key: str) -> None:
        """Count an attempt. Raises TooMany, which says how long to wait; refused attempts do not count."""
        decision = gcra(self._tats.get(key, 0.0) or 0.0, self._clock.monotonic(), self._rate)
        if not decision.allowed:
            raise TooMany(f"Too many attempts to sign in; try again in {int(decision.retry_after) + 1} seconds.")
        self._tats[key] = decision.tat
