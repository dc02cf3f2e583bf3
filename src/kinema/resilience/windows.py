"""What the last calls came to: counted over the last seconds, or over the last so many calls.

    by time     time is cut into buckets; a call is added to the bucket of now and to the sum; a bucket that falls out
                of the window is taken off the sum
    by count    a ring of the last calls' verdicts; each new one takes the place, and the count, of the oldest

Either way adding a call costs the same however many there are.
"""

from typing import Protocol

_FAILED, _SLOW = 1, 2


class Window(Protocol):
    """Sums over the calls in the window. `advance` forgets what has fallen out; `record` does it too."""

    @property
    def calls(self) -> int:
        """Calls in the window."""
        ...

    @property
    def failures(self) -> int:
        """Calls of these that failed."""
        ...

    @property
    def slow(self) -> int:
        """Calls of these that took too long, whether they failed or not."""
        ...

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Add a call that ended at `now` (seconds of a steady clock)."""
        ...

    def answered(self, now: float, count: int) -> None:
        """Add so many calls that did what they should, the last one at `now`."""
        ...

    def advance(self, now: float) -> None:
        """Bring the sums up to `now`."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class RollingSums:
    """Several counters over the last `seconds`, in so many buckets; `sums` holds them."""

    __slots__ = ("_buckets", "_head", "_per_second", "_place", "_size", "sums")

    def __init__(self, width: int, seconds: float, buckets: int) -> None:
        self._size = buckets
        self._per_second = buckets / seconds
        self._buckets = [[0] * buckets for _ in range(width)]
        self._head = self._place = 0
        self.sums = [0] * width

    def add(self, now: float, which: int, count: int = 1) -> None:
        """Count more of this kind at `now`."""
        head = int(now * self._per_second)
        if head > self._head:
            self.advance(now)
        self._buckets[which][self._place] += count
        self.sums[which] += count

    def advance(self, now: float) -> None:
        """Take off what has fallen out of the window."""
        head = int(now * self._per_second)
        passed = head - self._head
        if passed <= 0:
            return
        for which, buckets in enumerate(self._buckets):
            if passed >= self._size:
                buckets[:] = [0] * self._size
                self.sums[which] = 0
                continue
            for position in range(self._head + 1, head + 1):
                self.sums[which] -= buckets[position % self._size]
                buckets[position % self._size] = 0
        self._head = head
        self._place = head % self._size

    def clear(self) -> None:
        """Forget everything."""
        for which, buckets in enumerate(self._buckets):
            buckets[:] = [0] * self._size
            self.sums[which] = 0


class TimeWindow:
    """The calls of the last `seconds`. The oldest bucket leaves at once, so the window is up to one bucket shorter."""

    __slots__ = ("_rolling",)

    def __init__(self, seconds: float, buckets: int) -> None:
        self._rolling = RollingSums(3, seconds, buckets)

    @property
    def calls(self) -> int:
        """Calls in the window."""
        return self._rolling.sums[0]

    @property
    def failures(self) -> int:
        """Calls of these that failed."""
        return self._rolling.sums[1]

    @property
    def slow(self) -> int:
        """Calls of these that took too long, whether they failed or not."""
        return self._rolling.sums[2]

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Add a call that ended at `now`."""
        self._rolling.add(now, 0)
        if failed:
            self._rolling.add(now, 1)
        if slow:
            self._rolling.add(now, 2)

    def answered(self, now: float, count: int) -> None:
        """Add calls that ended well."""
        self._rolling.add(now, 0, count)

    def advance(self, now: float) -> None:
        """Bring the sums up to `now`."""
        self._rolling.advance(now)

    def clear(self) -> None:
        """Forget everything."""
        self._rolling.clear()


class CountWindow:
    """The last `size` calls, however long ago they were."""

    __slots__ = ("_next", "_ring", "calls", "failures", "slow")

    def __init__(self, size: int) -> None:
        self._ring = bytearray(size)
        self._next = 0
        self.calls = self.failures = self.slow = 0

    def record(self, now: float, *, failed: bool, slow: bool) -> None:  # noqa: ARG002 (time does not matter here)
        """Add a call; the oldest one is forgotten when the ring is full."""
        ring, place = self._ring, self._next
        if self.calls == len(ring):
            old = ring[place]
            self.failures -= old & _FAILED
            self.slow -= (old & _SLOW) >> 1
        else:
            self.calls += 1
        ring[place] = failed * _FAILED | slow * _SLOW
        self.failures += failed
        self.slow += slow
        self._next = (place + 1) % len(ring)

    def answered(self, now: float, count: int) -> None:
        """Add calls that ended well."""
        for _ in range(count):
            self.record(now, failed=False, slow=False)

    def advance(self, now: float) -> None:
        """Do nothing: what was counted stays until newer calls push it out."""

    def clear(self) -> None:
        """Forget everything."""
        self._next = self.calls = self.failures = self.slow = 0
