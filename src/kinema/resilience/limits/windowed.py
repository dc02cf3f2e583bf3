"""Let another algorithm see one sample a second instead of one a call: averages are steadier than single latencies.

    each call           under 0.1 ms: left out. Else added: shortest, sum and count of latencies, most in flight, any drop
    a window is over    when a call ends after its end, which was set to the end of the call that closed the last one
                        plus twice its shortest latency, at least and at most 1 s
    then                with at least 10 calls in it the algorithm hears of their mean, most in flight, any drop

As Netflix concurrency-limits' WindowedLimit with its defaults, to the last bit (tests/data/golden_limits.csv).
"""

from kinema.resilience.limits.algorithm import Algorithm

_SECOND = 1_000_000_000
_NONE = (1 << 63) - 1


class Windowed(Algorithm):
    """Feeds `algorithm`. Times in nanoseconds."""

    __slots__ = (
        "_algorithm",
        "_calls",
        "_count",
        "_dropped",
        "_in_flight",
        "_least",
        "_least_rtt",
        "_most",
        "_next",
        "_shortest",
        "_sum",
    )

    _shortest: int
    _sum: int
    _count: int
    _in_flight: int
    _dropped: bool

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        least: int = _SECOND,
        most: int = _SECOND,
        calls: int = 10,
        least_rtt: int = 100_000,
    ) -> None:
        if not 0 < least <= most or calls < 1:
            raise ValueError(f"A window of {least} to {most} ns and {calls} calls: give times in order and a call.")
        self._algorithm = algorithm
        self._least = least
        self._most = most
        self._calls = calls
        self._least_rtt = least_rtt
        self._next = 0
        self._begin()

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return self._algorithm.limit

    def sample(self, start: int, rtt: int, in_flight: int, *, dropped: bool) -> None:
        """Hear of a call that ended."""
        if rtt < self._least_rtt:
            return
        self._shortest = min(self._shortest, rtt)
        self._sum += rtt
        self._count += 1
        self._in_flight = max(self._in_flight, in_flight)
        self._dropped = self._dropped or dropped
        end = start + rtt
        if end > self._next:
            mean, in_flight, dropped = self._sum // self._count, self._in_flight, self._dropped
            ready = self._count >= self._calls
            self._next = end + min(max(self._shortest * 2, self._least), self._most)
            self._begin()
            if ready:
                self._algorithm.sample(start, mean, in_flight, dropped=dropped)

    def _begin(self) -> None:
        self._shortest = _NONE
        self._sum = self._count = self._in_flight = 0
        self._dropped = False
