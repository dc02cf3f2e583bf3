"""Slow start: a new instance has cold caches and no compiled code paths, so its share grows over its first half minute.

    weight(age) = max(LEAST, (age / window) ** (1 / aggression))

which is Envoy's formula; with aggression 1 the share grows evenly. The weight is the chance with which an instance that
was picked keeps the request. Weights are relative to the oldest: when everybody is new, nobody is held back.
"""

import math

WINDOW_SECONDS = 30.0
AGGRESSION = 1.0
LEAST = 0.1


def weight(age_seconds: float, window: float = WINDOW_SECONDS, aggression: float = AGGRESSION) -> float:
    """Return the share of a full instance that one of this age gets, from LEAST to 1."""
    if age_seconds >= window:
        return 1.0
    return max(LEAST, math.pow(max(0.0, age_seconds) / window, 1.0 / aggression))
