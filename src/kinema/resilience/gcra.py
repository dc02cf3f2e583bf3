"""The generic cell rate algorithm: a rate with bursts, from one number a key.

    arrival     the time at which all that was let through so far would have arrived at exactly the agreed rate
    a call      new = max(arrival, now) + cost / rate
                passes when new is at most now + burst / rate; then arrival = new
                else it may come back when that holds

So at most `burst` pass at once, and over any time t at most burst + rate * t. As in ITU-T I.371 (virtual scheduling); it needs no
refilling, and a key whose arrival lies behind is as one that was never seen.
"""

import math

from msgspec import Struct

ROUNDING = 1e-6  # seconds; below the resolution of Redis's clock and of floats near the present epoch


class Verdict(Struct, frozen=True, gc=False):
    """Whether the call passes; `arrival` is what to keep for the key (0.0 when it is kept elsewhere)."""

    allowed: bool
    arrival: float
    remaining: int
    """Calls of cost 1 that would pass now."""
    retry_after: float
    """Seconds until this call would pass; 0.0 when it does, infinity when it costs more than the burst."""
    reset_after: float
    """Seconds until the whole burst is there again."""


def gcra(arrival: float, now: float, rate: float, burst: int, cost: int = 1) -> Verdict:
    """Judge a call of this cost at `now` under `rate` calls a second. Times in seconds of one clock."""
    base = arrival if arrival > now else now  # noqa: FURB136 -- max() costs as much as all the rest
    new = base + cost / rate
    whole = burst / rate
    over = new - now - whole
    if over > ROUNDING:
        remaining = int((whole - (base - now) + ROUNDING) * rate)
        return Verdict(False, arrival, min(burst, max(0, remaining)), math.inf if cost > burst else over, base - now)
    return Verdict(True, new, min(burst, int((ROUNDING - over) * rate)), 0.0, new - now)
