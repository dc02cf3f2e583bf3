"""Instances of a service on virtual time, behind the production balancer and with the production load shedder in each.

An instance works on so many requests at once and lets the others wait in line. Requests come at random (Poisson), work takes a
random time (exponential).
"""

import heapq
import itertools
from collections import Counter, deque
from random import Random

from kinema.core.clock import ManualClock
from kinema.http import Headers
from kinema.model.discovery import Instance
from kinema.resilience.shedding import LoadShedder
from kinema.rpc.balance import Balancer, Outcome


class SimulatedInstance:
    """One instance: `seconds` of work a request on each of `workers`; `failing` answers errors at once."""

    def __init__(self, fleet, name, zone, *, seconds=0.01, workers=2, failing=False):
        self.fleet = fleet
        self.started = fleet.clock.now()
        self.seconds, self.workers, self.failing = seconds, workers, failing
        self.registration = Instance(
            "s", name, f"{name}:1", "home", zone, "0", {"started": str(self.started - fleet.age)}
        )
        self.shedder = LoadShedder(fleet.clock, random=fleet.random)
        self.working = 0
        self.line = deque()

    def take(self, priority, done):
        """Work on a request, or refuse it; `done(outcome)` is called in due time."""
        if self.failing:
            done(Outcome.FAILED)
        elif not self.shedder.admit(priority):
            done(Outcome.SHED)
        else:
            self.line.append((self.fleet.clock.now(), done))
            self._begin()

    def _begin(self):
        while self.line and self.working < self.workers:
            came, done = self.line.popleft()
            self.working += 1
            self.shedder.waited(self.fleet.clock.now() - came)
            self.fleet.later(self.fleet.random.expovariate(1 / self.seconds), self._end, came, done)

    def _end(self, came, done):
        self.working -= 1
        self.shedder.finished(self.fleet.clock.now() - came)
        done(Outcome.ANSWERED)
        self._begin()


class Fleet:
    """`outcomes` counts (class, outcome), `served` answers by instance; both can be cleared between phases."""

    def __init__(self, seed=1, *, zone="", peers=()):
        self.clock = ManualClock()
        self.random = Random(seed)
        self.age = 1000.0  # of instances that are added: old ones
        self.members = {}
        self.found = ()
        self.peers = tuple(peers)
        self.balancer = Balancer(self, self.clock, Random(seed), zone=zone, service="callers", instance="callers-1")
        self.outcomes = Counter()
        self.served = Counter()
        self._events = []
        self._order = itertools.count()

    def instances(self, service):
        return self.found if service == "s" else self.peers

    def add(self, name, zone="a", **options):
        self.members[name] = SimulatedInstance(self, name, zone, **options)
        self.found = (*self.found, self.members[name].registration)

    def remove(self, name):
        gone = self.members.pop(name).registration
        self.found = tuple(one for one in self.found if one is not gone)

    def later(self, seconds, event, *arguments):
        heapq.heappush(self._events, (self.clock.now() + seconds, next(self._order), event, arguments))

    def run(self, seconds, rates):
        """Let requests come for so long; `rates` are requests a second by class, or functions of the seconds since the start."""
        begin = self.clock.now()
        for priority, rate in rates.items():
            self._next(priority, rate if callable(rate) else lambda _, rate=rate: rate, begin, begin + seconds)
        while self._events and self._events[0][0] <= begin + seconds:
            at, _, event, arguments = heapq.heappop(self._events)
            self.clock.advance(max(0.0, at - self.clock.now()))
            event(*arguments)

    def availability(self, priority):
        """Return the part of a class's requests that were answered."""
        counts = {outcome: count for (one, outcome), count in self.outcomes.items() if one is priority}
        return counts.get(Outcome.ANSWERED, 0) / sum(counts.values())

    def clear(self):
        self.outcomes.clear()
        self.served.clear()

    def _next(self, priority, rate, begin, end):
        at = self.random.expovariate(max(1e-9, rate(self.clock.now() - begin)))
        if self.clock.now() + at < end:
            self.later(at, self._come, priority, rate, begin, end)

    def _come(self, priority, rate, begin, end):
        self._next(priority, rate, begin, end)
        picked = self.balancer.pick("s")
        if picked is None:
            self.outcomes[priority, Outcome.SHED] += 1
            return
        began = self.clock.now()
        held = self.balancer.begin(picked)
        member = self.members.get(picked.instance)

        def done(outcome):
            load = b"0" if member is None else b"%.2f" % member.shedder.utilisation
            answer = Headers({b"x-kinema-utilisation": load})
            self.balancer.end(held, outcome, self.clock.now() - began, answer)
            self.outcomes[priority, outcome] += 1
            if outcome is Outcome.ANSWERED:
                self.served[picked.instance] += 1

        if member is None:
            done(Outcome.REFUSED)
        else:
            member.take(priority, done)
