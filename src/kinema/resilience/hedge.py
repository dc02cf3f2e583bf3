"""When to send a second copy of a call that is late: after the time within which nearly all others were answered.

    record      how long calls took, each one
    delay       their p95, decayed; None until enough were seen

Then at most one call in twenty is sent twice, and the slowest wait no longer than the p95 and a usual answer (J. Dean and L.
Barroso, "The Tail at Scale", 2013). A call that is called off because its copy was faster is recorded too, with the time it had by
then: left out, the longest would be missing from the measure and the delay would sink with each hedge.
"""

from kinema.resilience.quantiles import Quantiles

_FRESH = 32  # records after which the quantile is worked out anew


class HedgeDelay:
    """`quantile` of the durations recorded, of which those `half_life` records old weigh half; `minimum` must be seen."""

    __slots__ = ("_delay", "_fresh_at", "_minimum", "_quantile", "_seen")

    def __init__(self, quantile: float = 0.95, half_life: int = 1000, minimum: int = 100) -> None:
        if not 0.5 <= quantile < 1.0:
            raise ValueError(f"quantile is {quantile}; give a share from 0.5 to below 1.")
        if not (half_life > 0 and minimum >= 1):
            raise ValueError(f"A half-life of {half_life} and a minimum of {minimum}: give at least 1 record each.")
        self._quantile = quantile
        self._minimum = minimum
        self._seen = Quantiles(half_life)
        self._delay = 0.0
        self._fresh_at = minimum

    def record(self, seconds: float) -> None:
        """Add how long a call took."""
        self._seen.record(seconds)

    @property
    def delay(self) -> float | None:
        """Seconds after which a call is late; None: too little is known to say."""
        count = self._seen.count
        if count < self._minimum:
            return None
        if count >= self._fresh_at:
            self._delay = self._seen.quantile(self._quantile)
            self._fresh_at = count + _FRESH
        return self._delay
