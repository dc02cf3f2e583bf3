"""The default: a queue estimate as Vegas has it, and the question whether more calls at once still bring more answers.

    a window      at least 1 s and 50 calls, at most 30 s; it gives the calls under way on average, answers a second, their latency
    recent        p90 of its latencies, of that the median of the last 5 windows, smoothed over 5
    baseline      average of the first 10 `recent`, then exponential over 10
    queue         limit * (1 - baseline / recent), rounded up                          L = log10(limit), at least 1
    trend         over the last 50 windows, Pearson's r of answers and of latency with the calls under way

    more than a tenth dropped                                  limit * 0.9
    queue > 6 L                                                limit - L             far over
    the limit was reached, and the trend says: no more in it   limit - L, or 3 %     mildly over
    the limit was reached, answers follow (r > 0.7), no queue  limit + 3 L           it is the limit that holds them down
    queue < 3 L                                                limit + L
    and never more than 5 times what was in flight: a callee with nothing to do proves nothing

    no more in it     answers fall as more are under way (r < 0); or latency rises (r > 0.5) and answers do not (r < 0.3, or they
                      vary by less than 5 %, or than chance has them vary); or nothing varies: to know, something must

What Gradient2 lacks is the trend. Under an overload that lasts, every average of latency becomes the latency, and no ratio of
latencies shows it any more; that more calls bring no more answers shows it still. The idea, its windows and its thresholds are those of
failsafe-go's adaptive limiter, with three corrections that the simulation in tests/unit/resilience/test_overload.py led to: answers
are counted, where failsafe-go divides calls by a smoothed latency, which lags behind; "reached" means at any time in the
window; and a limit at which nothing varies is tried lower. That drops shrink the limit is AIMD's.
"""

import math
from collections import deque
from collections.abc import Sequence

from kinema.resilience.limits.algorithm import Algorithm, check_bounds, whole_log10
from kinema.resilience.quantiles import Quantiles

_WARM_UP = 10
_SMOOTHED = 5
_TREND = 50
_DROPPED_SHARE = 0.1
_DOWN_SHARE = 0.03


class Correlated(Algorithm):
    """A limit between `least` and `most`, at most `headroom` times what is in flight; windows in nanoseconds."""

    __slots__ = (
        "_baseline",
        "_began",
        "_calls",
        "_dropped",
        "_headroom",
        "_in_flight",
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
        "_sum",
        "_trend",
    )

    _shortest_rtt: int
    _in_flight: int
    _dropped: int
    _sum: int

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
        self._began = self._next = 0
        self._median: deque[float] = deque(maxlen=_SMOOTHED)
        self._recent = _Average(_SMOOTHED)
        self._baseline = _Average(10)
        self._trend = _Trend()
        self._rtts = Quantiles()
        self._begin(0)

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._limit)

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:
        """Hear of a call that ended."""
        if in_flight > self._in_flight:  # noqa: PLR1730 -- for every call; max() costs as much as all the rest
            self._in_flight = in_flight
        if dropped:
            self._dropped += 1
        else:
            self._rtts.record(rtt / 1e9)
            self._sum += rtt
            if rtt < self._shortest_rtt:  # noqa: PLR1730 -- likewise
                self._shortest_rtt = rtt
        end = start + rtt
        if end > self._next:
            self._look(end)

    def answered(self, seconds: Sequence[float], end: int, in_flight: int) -> None:
        """Hear of several calls: what `sample` would be told of each, for a third of the time."""
        self._in_flight = max(self._in_flight, in_flight)
        self._rtts.extend(seconds)
        self._sum += int(sum(seconds) * 1e9)
        self._shortest_rtt = min(self._shortest_rtt, int(min(seconds) * 1e9))
        if end > self._next:
            self._look(end)

    def _look(self, end: int) -> None:
        """See whether a window is over."""
        if self._next == 0:  # the first call only says when it is
            self._next = end + self._shortest
            self._begin(end)
        elif self._rtts.count + self._dropped >= self._calls:
            self._update((end - self._began) / 1e9)
            self._next = end + min(max(self._shortest_rtt * 2, self._shortest), self._longest)
            self._begin(end)

    def _begin(self, now: int) -> None:
        self._began = now
        self._rtts.clear()
        self._shortest_rtt = self._longest
        self._in_flight = self._dropped = self._sum = 0

    def _update(self, seconds: float) -> None:
        """Work out the limit from the window that is over."""
        limit = self._limit
        if self._dropped > _DROPPED_SHARE * (self._rtts.count + self._dropped):
            moved = limit * 0.9
        else:
            moved = limit + self._step(seconds)
            roof = self._in_flight * self._headroom
            if moved > roof:
                # Gradually, so that a lull does not take away what a moment later is needed again.
                moved = limit - whole_log10(limit) if limit > roof else roof
        self._limit = max(float(self._least), min(float(self._most), moved))

    def _step(self, seconds: float) -> float:
        self._median.append(self._rtts.quantile(self._quantile))
        recent = self._recent.add(sorted(self._median)[len(self._median) // 2])
        baseline = self._baseline.add(recent)
        answers = self._rtts.count
        trend = self._trend
        trend.add(self._sum / 1e9 / seconds, answers / seconds, self._sum / 1e9 / answers)
        queue = math.ceil(self._limit * (1 - baseline / recent))
        step = whole_log10(self._limit)
        reached = self._in_flight >= self.limit
        if queue > 6 * step:
            return -step
        if reached and trend.no_more_in_it(chance=1.5 / math.sqrt(answers)):
            return -max(step, self._limit * _DOWN_SHARE)
        if reached and queue <= step and trend.answers > 0.7:
            return 3 * step
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


class _Trend:
    """How answers a second and latency went with the calls under way; `answers`, `latency` are Pearson's r, 0.0 while unknown."""

    __slots__ = ("_answers_vary", "_rows", "_still", "answers", "latency")

    def __init__(self) -> None:
        self._rows: deque[tuple[float, float, float]] = deque(maxlen=_TREND)
        self._still = False
        self._answers_vary = 1.0
        self.answers = self.latency = 0.0

    def add(self, under_way: float, answers: float, latency: float) -> None:
        """Add a window."""
        self._rows.append((under_way, answers, latency))
        if len(self._rows) < _WARM_UP:
            return
        calls, rates, latencies = (_Series(values) for values in zip(*self._rows, strict=True))
        self._still = calls.varies < 0.01
        self._answers_vary = rates.varies
        self.answers = calls.correlation(rates)
        self.latency = calls.correlation(latencies)

    def no_more_in_it(self, chance: float) -> bool:
        """Say whether more calls at once bring no more answers; `chance`: how much answers vary by themselves."""
        if len(self._rows) < _WARM_UP:
            return False
        flat = self.answers < 0.3 or self._answers_vary < max(0.05, chance)
        return self._still or self.answers < 0.0 or (self.latency > 0.5 and flat)


class _Series:
    """Values about their mean; `varies` is their standard deviation to the mean."""

    __slots__ = ("about", "deviation", "varies")

    def __init__(self, values: tuple[float, ...]) -> None:
        mean = sum(values) / len(values)
        self.about = [value - mean for value in values]
        self.deviation = math.sqrt(sum(value * value for value in self.about))
        self.varies = self.deviation / math.sqrt(len(values)) / mean if mean > 0.0 else 0.0

    def correlation(self, other: "_Series") -> float:
        """Return Pearson's r, 0.0 when one of the two varies by less than 1 %."""
        if self.varies < 0.01 or other.varies < 0.01:
            return 0.0
        products = sum(one * two for one, two in zip(self.about, other.about, strict=True))
        return products / (self.deviation * other.deviation)
