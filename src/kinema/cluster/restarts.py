"""When a process that ended is started again. Pure: time comes in, a delay or a verdict goes out.

The first restart comes at once, so that one crash is hardly noticed; each further one within the window waits twice as long
as the one before, up to `longest` seconds. More than `limit` ends within the window mean that starting again does not help:
the process is left alone, and the region says that it is unhealthy instead of burning the machine.
"""

from collections import deque


class RestartPolicy:
    """Counts one process's ends. Times and delays are in seconds of a steady clock."""

    def __init__(
        self, *, limit: int = 8, window: float = 60.0, first: float = 0.05, factor: float = 2.0, longest: float = 5.0
    ) -> None:
        self.limit = limit
        self.window = window
        self._first = first
        self._factor = factor
        self.longest = longest
        self._ends: deque[float] = deque()

    def ended(self, now: float) -> float | None:
        """Record an end at `now`; return how long to wait before the next start, or None to leave the process alone."""
        while self._ends and self._ends[0] <= now - self.window:
            self._ends.popleft()
        self._ends.append(now)
        if len(self._ends) > self.limit:
            return None
        return min(self.longest, self._first * self._factor ** (len(self._ends) - 1))
