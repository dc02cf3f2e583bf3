"""The default: a queue estimate as Vegas has it, held against what more calls at once really bring.

    a window        at least 1 s and 50 calls, at most 30 s; of its latencies the p90, of these the median of the last 5 windows,
                    smoothed over 5: recent
    baseline        average of the first 10 `recent`, then exponential over 10
    queue           limit * (1 - baseline / recent), rounded up                L = log10(limit), at least 1
    throughput      most in flight / recent
    correlated      Pearson's r over the last 50 windows, of throughput and of recent with what was in flight

    more than a tenth dropped                              limit * 0.9
    queue > 6 L                                            limit - L      far over
    full, and throughput falls with more in flight         limit - L      mildly over: baseline and latency went up together
    full, throughput hardly rises (r < 0.3) and latency does (r > 0.5)         limit - L
    full, throughput is flat (varies < 20 %) and latency rises (r > 0.5)       limit - L
    queue < 3 L                                            limit + L
    between                                                as it is
    and never more than 5 times what was in flight: an idle callee proves nothing

What Gradient2 lacks is the second question. Under an overload that lasts, every average of latency becomes the latency, and no ratio of
latencies shows it any more; that more calls bring no more answers shows it still. The correlations and their bounds are
those of failsafe-go's adaptive limiter; that drops shrink the limit is AIMD's.
"""

import math
from collections import deque

from kinema.resilience.limits.algorithm import check_bounds, whole_log10
from kinema.resilience.quantiles import Quantiles

_WARM_UP = 10
_SMOOTHED = 5
_DROPPED_SHARE = 0.1
_LEAST_VARIATION = 0.01


class Correlated:
    """A limit between `least` and `most`, at most `headroom` times what is in flight; windows in nanoseconds."""

    __slots__ = (
        "_baseline",
        "_calls",
        "_dropped",
        "_headroom",
        "_in_flight",
        "_latency_correlation",
        "_least",
        "_limit",
        "_longest",
        "_median",
        "_most",
        "_next",
        "_quantile",
        "_recent",
        "_rtts",
        "_shortest",
        "_shortest_rtt",
        "_throughput_correlation",
    )

    _shortest_rtt: int
    _in_flight: int
    _dropped: int

    def __init__(
        self,
        *,
        first: int = 20,
        least: int = 1,
        most: int = 200,
        headroom: float = 5.0,
        quantile: float = 0.9,
        calls: int = 50,
        shortest: int = 1_000_000_000,
        longest: int = 30_000_000_000,
    ) -> None:
        check_bounds(least, first, most)
        if headroom < 1.0 or not 0 < shortest <= longest or calls < 1:
            raise ValueError("headroom must be at least 1, a window hold at least one call and its times be in order.")
        self._limit = float(first)
        self._least, self._most = least, most
        self._headroom = headroom
        self._quantile = quantile
        self._calls = calls
        self._shortest, self._longest = shortest, longest
        self._next = 0
        self._median: deque[float] = deque(maxlen=_SMOOTHED)
        self._recent = _Average(_SMOOTHED)
        self._baseline = _Average(10)
        self._throughput_correlation = _Correlation(50)
        self._latency_correlation = _Correlation(50)
        self._rtts = Quantiles()
        self._begin()

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._limit)

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:
        """Hear of a call that ended."""
        self._in_flight = max(self._in_flight, in_flight)
        if dropped:
            self._dropped += 1
        else:
            self._rtts.record(rtt / 1e9)
            self._shortest_rtt = min(self._shortest_rtt, rtt)
        end = start + rtt
        if end <= self._next:
            return
        if self._next == 0:
            self._next = end + self._shortest
        elif self._rtts.count + self._dropped >= self._calls:
            self._update(in_flight)
            self._next = end + min(max(self._shortest_rtt * 2, self._shortest), self._longest)
            self._begin()

    def _begin(self) -> None:
        self._rtts.clear()
        self._shortest_rtt = self._longest
        self._in_flight = self._dropped = 0

    def _update(self, in_flight: int) -> None:
        """Work out the limit from the window that is over; `in_flight` is of now, `_in_flight` the window's most."""
        limit = self._limit
        if self._dropped > _DROPPED_SHARE * (self._rtts.count + self._dropped):
            moved = limit * 0.9
        else:
            moved = limit + self._step(full=in_flight >= int(limit))
            roof = self._in_flight * self._headroom
            if moved > roof:
                # Gradually, so that a lull does not take away what a moment later is needed again.
                moved = limit - whole_log10(limit) if limit > roof else roof
        self._limit = max(float(self._least), min(float(self._most), moved))

    def _step(self, *, full: bool) -> int:
        self._median.append(self._rtts.quantile(self._quantile))
        recent = self._recent.add(sorted(self._median)[len(self._median) // 2])
        baseline = self._baseline.add(recent)
        throughput = self._in_flight / recent
        with_throughput, varies = self._throughput_correlation.add(self._in_flight, throughput)
        with_latency, _ = self._latency_correlation.add(self._in_flight, recent)
        queue = math.ceil(self._limit * (1 - baseline / recent))
        step = whole_log10(self._limit)
        mildly_over = full and (
            with_throughput < 0.0 or (with_latency > 0.5 and (with_throughput < 0.3 or varies < 0.2))
        )
        if queue > 6 * step or mildly_over:
            return -step
        return step if queue < 3 * step else 0


class _Average:
    """The mean of the first ten values, then exponential over `age` of them."""

    __slots__ = ("_count", "_factor", "_sum", "_value")

    def __init__(self, age: int) -> None:
        self._factor = 2.0 / (age + 1)
        self._count = 0
        self._sum = self._value = 0.0

    def add(self, value: float) -> float:
        if self._count < _WARM_UP:
            self._count += 1
            self._sum += value
            self._value = self._sum / self._count
        else:
            self._value += (value - self._value) * self._factor
        return self._value


class _Correlation:
    """Pearson's r of the last `size` pairs, 0.0 while they are few or hardly vary."""

    __slots__ = ("_pairs",)

    def __init__(self, size: int) -> None:
        self._pairs: deque[tuple[float, float]] = deque(maxlen=size)

    def add(self, x: float, y: float) -> tuple[float, float]:
        """Add a pair; return r and how much y varies (standard deviation to mean)."""
        self._pairs.append((x, y))
        count = len(self._pairs)
        if count < _WARM_UP:
            return 0.0, 0.0
        mean_x = sum(x for x, _ in self._pairs) / count
        mean_y = sum(y for _, y in self._pairs) / count
        deviation_x = math.sqrt(sum((x - mean_x) ** 2 for x, _ in self._pairs) / count)
        deviation_y = math.sqrt(sum((y - mean_y) ** 2 for _, y in self._pairs) / count)
        varies = deviation_y / mean_y
        if deviation_x < _LEAST_VARIATION * mean_x or varies < _LEAST_VARIATION:
            return 0.0, varies
        covariance = sum((x - mean_x) * (y - mean_y) for x, y in self._pairs) / count
        return covariance / (deviation_x * deviation_y), varies
