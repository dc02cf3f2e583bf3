"""A service under load on virtual time: so many workers, a line before them, a limiter before that. Deterministic by its seed."""

import heapq
import itertools
import random
import statistics
from collections import deque

from kinema.core.clock import ManualClock
from kinema.resilience import Limiter


class Service:
    """`workers` calls at once, each taking `seconds` on average; beyond them calls wait, and all get slower by `crowding` each."""

    def __init__(self, algorithm, *, workers=30, seconds=0.05, crowding=0.002, seed=1):
        self.clock = ManualClock(1.0)
        self.limiter = Limiter(algorithm, self.clock)
        self.workers, self.seconds, self.crowding = workers, seconds, crowding
        self.capacity = workers / seconds
        self.random = random.Random(seed)
        self.events = []
        self.order = itertools.count()
        self.line = deque()
        self.busy = 0
        self.log = []  # (time it ended, latency)
        self.limits = []  # (time, limit), once a second
        self.refused = 0

    def run(self, seconds, load):
        """Send `load` times the capacity for so long, at random intervals."""
        clock = self.clock
        end = clock.monotonic() + seconds
        arrival = clock.monotonic() + self.random.expovariate(load * self.capacity)
        next_limit = clock.monotonic()
        while True:
            departs = self.events[0][0] if self.events else float("inf")
            now = min(arrival, departs)
            if now > end:
                clock.advance(end - clock.monotonic())
                return
            clock.advance(now - clock.monotonic())
            if now >= next_limit:
                self.limits.append((now, self.limiter.limit))
                next_limit += 1.0
            if arrival <= departs:
                if self.limiter.try_acquire():
                    self.line.append(now)
                else:
                    self.refused += 1
                arrival = now + self.random.expovariate(load * self.capacity)
            else:
                _, _, began = heapq.heappop(self.events)
                self.busy -= 1
                self.limiter.release(now - began)
                self.log.append((now, now - began))
            self._work(now)

    def _work(self, now):
        while self.line and self.busy < self.workers:
            crowd = max(0, self.limiter.in_flight - self.workers)
            takes = self.random.gammavariate(4.0, self.seconds / 4.0) * (1 + self.crowding * crowd)
            self.busy += 1
            heapq.heappush(self.events, (now + takes, next(self.order), self.line.popleft()))

    def median_latency(self, seconds):
        since = self.clock.monotonic() - seconds
        return statistics.median(latency for at, latency in self.log if at >= since)

    def throughput(self, seconds):
        since = self.clock.monotonic() - seconds
        return sum(at >= since for at, _ in self.log) / seconds

    def median_limit(self, seconds):
        since = self.clock.monotonic() - seconds
        return statistics.median(limit for at, limit in self.limits if at >= since)
