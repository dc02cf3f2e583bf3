"""A quantile of a stream of durations, in constant space and time, with a known error.

    record      the duration falls into the bucket number log(duration) / log(1.04), so that all in a bucket differ by less
                than 4 %; the bucket's weight grows by the weight of the newest, which itself grows a little with each
                record: what is `half_life` records old weighs half as much as what is new
    quantile    walk up the buckets until the share of the whole weight is reached; the middle of that bucket is
                within 2 % of the true value

The buckets are those of DDSketch (C. Masson, J. Rim, H. Lee, VLDB 2019), the growing weight is forward decay (G. Cormode, V.
Shkapenyuk, D. Srivastava, B. Xu, ICDE 2009): nothing that was recorded before is ever touched again.
"""

import math
from collections.abc import Sequence

_LEAST, _MOST = 1e-6, 1e4  # seconds; what is shorter or longer counts as these
_ERROR = 0.02
_GAMMA = (1 + _ERROR) / (1 - _ERROR)
_PER_LOG = 1 / math.log(_GAMMA)
_FIRST = math.ceil(math.log(_LEAST) * _PER_LOG)
_BUCKETS = math.ceil(math.log(_MOST) * _PER_LOG) - _FIRST + 1
_HEAVY = 1e100  # weights are scaled down before floats end
_log = math.log


class Quantiles:
    """Durations in seconds from 1 us to 10,000 s. `half_life` in records; infinity forgets nothing until `clear`."""

    __slots__ = ("_growth", "_total", "_weight", "_weights", "count")

    def __init__(self, half_life: float = math.inf) -> None:
        if half_life <= 0:
            raise ValueError(f"half_life is {half_life}; give a number of records above 0.")
        self._growth = 2.0 ** (1.0 / half_life)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._weights = [0.0] * _BUCKETS
        self._weight = 1.0
        self._total = 0.0
        self.count = 0

    def record(self, seconds: float) -> None:
        """Add a duration."""
        if seconds >= _MOST:
            bucket = _BUCKETS - 1
        elif seconds <= _LEAST:
            bucket = 0
        else:
            bucket = math.ceil(_log(seconds) * _PER_LOG) - _FIRST
        weight = self._weight
        self._weights[bucket] += weight
        self._total += weight
        self.count += 1
        self._weight = weight = weight * self._growth
        if weight > _HEAVY:
            self._scale_down()

    def extend(self, durations: Sequence[float]) -> None:
        """Add several durations of one moment, which weigh the same."""
        weights, weight = self._weights, self._weight
        for seconds in durations:
            inside = _LEAST if seconds < _LEAST else min(seconds, _MOST)
            weights[math.ceil(_log(inside) * _PER_LOG) - _FIRST] += weight
        count = len(durations)
        self._total += weight * count
        self.count += count
        self._weight = weight * self._growth**count
        if self._weight > _HEAVY:
            self._scale_down()

    def quantile(self, share: float) -> float:
        """Return the duration that this share (0 to 1) of the weight does not exceed; 0.0 before the first record."""
        if self.count == 0:
            return 0.0
        left = share * self._total
        last = 0
        for bucket, weight in enumerate(self._weights):
            if weight > 0.0:
                last = bucket
                left -= weight
                if left <= 0.0:
                    break
        return 2.0 * _GAMMA ** (last + _FIRST) / (_GAMMA + 1.0)

    def _scale_down(self) -> None:
        self._weights = [weight / self._weight for weight in self._weights]
        self._total /= self._weight
        self._weight = 1.0
