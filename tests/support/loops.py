"""A server on an event loop, on virtual time, with the production load shedder before its handlers.

It takes turns as asyncio does: poll, read what was found, begin what was read a turn before. A handler may wait for something else
first; then it holds the loop. What waits in the kernel is seen by nobody but the test, which knows when each request came.
"""

import heapq
import itertools
from collections import deque
from random import Random
from typing import NamedTuple

from kinema.core.clock import ManualClock
from kinema.resilience.shedding import LoadShedder
from kinema.resilience.turns import Turns


class Answer(NamedTuple):
    """What became of one request, in seconds: how long it took, how long it waited to begin, and what that was taken for."""

    priority: int
    came: float
    taken: bool
    seconds: float
    waited: float
    estimate: float


class SimulatedLoop:
    """A handler holds the loop for `holds` seconds, after about `away` seconds of waiting for something else."""

    def __init__(self, holds, *, away=None, seed=1):
        self.clock = ManualClock()
        self.random = Random(seed)
        self.shedder = LoadShedder(self.clock, random=self.random)
        self.turns = Turns()
        self.holds, self.away = holds, away
        self.answers = []
        self.longest = 0.0  # of all turns
        self._ready = deque()
        self._events = []
        self._order = itertools.count()

    def run(self, seconds, rates):
        """Let requests come for so long, at random, and answer them all; `rates` are requests a second by class."""
        begin = self.now
        for priority, rate in rates.items():
            at = begin
            while (at := at + self.random.expovariate(rate)) < begin + seconds:
                self.at(at, self._found, priority, at)
        while self._ready or self._events:
            self._turn()

    def at(self, when, event, *arguments):
        """Have the poll find something at a time."""
        heapq.heappush(self._events, (when, next(self._order), event, arguments))

    def hold(self, seconds):
        """Hold the loop for a while, once, by something that is no request."""
        self._ready.append(lambda: self.clock.advance(seconds))

    @property
    def now(self):
        return self.clock.monotonic()

    def taken(self, priority, since=0.0):
        """Return the part of a class's requests that was let in."""
        answers = [one for one in self.answers if one.priority is priority and one.came >= since]
        return sum(one.taken for one in answers) / len(answers)

    def slowest(self, priority, since=0.0):
        """Return the time of the slowest answer to a request of this class that was let in."""
        return max(one.seconds for one in self.answers if one.priority is priority and one.taken and one.came >= since)

    def _turn(self):
        if not self._ready and self._events[0][0] > self.now:
            self.clock.advance(self._events[0][0] - self.now + 1e-6)
        while self._events and self._events[0][0] <= self.now:
            _, _, event, arguments = heapq.heappop(self._events)
            event(*arguments)
        begin = self.now
        for _ in range(len(self._ready)):
            self._ready.popleft()()
        self.longest = max(self.longest, self.now - begin)

    def _found(self, priority, came):
        self._ready.append(lambda: self._read(priority, came))

    def _read(self, priority, came):
        self.clock.advance(0.0001)
        self._ready.append(lambda: self._begin(priority, came))

    def _begin(self, priority, came):
        self._tell()
        waited = self.now - came
        estimate = self.turns.began(self.now)
        if not self.shedder.admit(priority, estimate):
            self.clock.advance(0.0003)
            self.answers.append(Answer(priority, came, False, self.now - came, waited, estimate))
            return

        def work():
            self._tell()
            self.turns.worked(self.now)
            self.clock.advance(self.holds)
            self.shedder.finished(self.now - came, held=self.holds)
            self.answers.append(Answer(priority, came, True, self.now - came, waited, estimate))

        if self.away is None:
            work()
        else:
            self.at(self.now + self.away * (0.5 + self.random.random()), lambda: self._ready.append(work))

    def _tell(self):
        if not self.turns.told:
            self._ready.append(self._turned)

    def _turned(self):
        if self.turns.turned(self.now):
            self._ready.append(self._turned)
