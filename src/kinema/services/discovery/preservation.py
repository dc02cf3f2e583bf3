"""Self-preservation: when many instances fall silent at once, it is more likely us than them.

    late      an instance whose last heartbeat is more than one and a half of its intervals ago
    on        while at least `FROM` instances are registered and more than 1 - `THRESHOLD` of them are late
    evicted   off: those whose lease has ended; on: only those silent for longer than `LONGEST_SECONDS`
    a run     evicts at most 1 - `THRESHOLD` of all, at least one, drawn at random, so that no application goes as a whole

Eureka compares the heartbeats of the last minute with 85 % of what it expects, which takes every interval for 30 s, is on
for a minute after every start, and in a cluster of two or three is on for good as soon as one instance dies, so that the dead
one is never evicted. Looking at who is late needs no minute and no assumption. In a small registry a single death is a
large share and says nothing about us: there it is off. It also ends: what has been silent for a quarter of an hour is gone.

Source: Eureka's AbstractInstanceRegistry.evict and PeerAwareInstanceRegistryImpl.isLeaseExpirationEnabled.
"""

from collections.abc import Collection
from random import Random

from kinema.core.properties import Properties, Property, at_least, between
from kinema.services.discovery.entries import Entry

ENABLED = Property("discovery.self_preservation", default=True, description="Whether self-preservation can be on.")
FROM = Property(
    "discovery.self_preservation_from", 10, "How many instances there must be for self-preservation.", at_least(1)
)
THRESHOLD = Property(
    "discovery.renewal_threshold",
    0.85,
    "The share of instances that must be in time; 1 less this is what an eviction run may take.",
    between(0.0, 1.0),
)
LONGEST_SECONDS = Property(
    "discovery.self_preservation_seconds",
    900.0,
    "How long a silent instance is kept by self-preservation, in seconds.",
    at_least(0.0),
)
_LATE_INTERVALS = 1.5


class Judgement:
    """What one run sees and decides."""

    __slots__ = ("count", "evicted", "expected_per_minute", "late", "on", "overdue")

    def __init__(self, count: int, late: int, overdue: int, expected_per_minute: float, *, on: bool) -> None:
        self.count = count
        self.late = late
        self.overdue = overdue
        self.expected_per_minute = expected_per_minute
        self.on = on
        self.evicted: list[Entry] = []


def judge(entries: Collection[Entry], now: float, properties: Properties, random: Random) -> Judgement:
    """Return who is to be evicted at this moment of lease time."""
    late = 0
    expected = 0.0
    overdue = []
    for entry in entries:
        interval = entry.info.renewal_seconds
        expected += 60.0 / interval
        late += now - entry.renewed > _LATE_INTERVALS * interval
        if entry.ends <= now:
            overdue.append(entry)
    count = len(entries)
    kept = properties[THRESHOLD]
    on = properties[ENABLED] and count >= properties[FROM] and late > count * (1 - kept)
    judged = Judgement(count, late, len(overdue), expected, on=on)
    if on:
        longest = properties[LONGEST_SECONDS]
        overdue = [entry for entry in overdue if now - entry.renewed > max(longest, entry.duration)]
    if overdue:
        most = max(1, count - int(count * kept))
        judged.evicted = random.sample(overdue, min(most, len(overdue)))
    return judged


class Renewals:
    """Heartbeats of the last minute, counted in slices of five seconds."""

    _SLICE = 5.0
    _SLICES = 12

    def __init__(self) -> None:
        self._counts = [0] * self._SLICES
        self._slice = 0

    def count(self, now: float) -> None:
        """A heartbeat came at this moment of lease time."""
        current = int(now / self._SLICE)
        if current != self._slice:
            self._turn(current)
        self._counts[current % self._SLICES] += 1

    def per_minute(self, now: float) -> int:
        """Return the heartbeats of the last 55 to 60 seconds."""
        self._turn(int(now / self._SLICE))
        return sum(self._counts)

    def _turn(self, current: int) -> None:
        for passed in range(min(current - self._slice, self._SLICES)):
            self._counts[(current - passed) % self._SLICES] = 0
        self._slice = current
