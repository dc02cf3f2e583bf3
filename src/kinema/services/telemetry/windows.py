"""The last hour of every route in memory: counters in slots of five seconds, added up for whatever window is asked for.

An instance of the service reads the reports of all processes in their order and adds each to the slot of its time, so two
instances that have read the same reports show the same. Slots that are older than an hour are dropped. Pure: no clock of its
own, no I/O.
"""

import math
from collections.abc import Iterable, Iterator

from kinema.core.histogram import BUCKETS
from kinema.core.metrics import CLASSES, RedKey
from kinema.model.telemetry import RedDelta

SLOT_SECONDS = 5
KEPT_SECONDS = 3600
_FAILED = CLASSES.index("5xx")


class Tally:
    """Counters of one route within some time."""

    __slots__ = ("counts", "statuses", "total_seconds")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.statuses = [0] * len(CLASSES)
        self.total_seconds = 0.0

    def add(self, counts: Iterable[tuple[int, int]], statuses: Iterable[int], seconds: float) -> None:
        """Count more."""
        for bucket, count in counts:
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        for index, count in enumerate(statuses):
            self.statuses[index] += count
        self.total_seconds += seconds

    def merge(self, other: "Tally") -> None:
        """Add another one's counters."""
        self.add(list(other.counts.items()), other.statuses, other.total_seconds)

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.statuses)

    @property
    def failed(self) -> int:
        """How many of them ended with a fault of ours (5xx)."""
        return self.statuses[_FAILED]

    @property
    def histogram(self) -> list[int]:
        """Observations by bucket."""
        return [self.counts.get(bucket, 0) for bucket in range(BUCKETS)]


class Windows:
    """The slots."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[RedKey, Tally]] = {}

    def add(self, at: float, deltas: Iterable[RedDelta], now: float) -> None:
        """Add what a process counted up to `at`; reports from too far away in time are left out."""
        slot = int(at // SLOT_SECONDS)
        newest = int(now // SLOT_SECONDS)
        if not newest - KEPT_SECONDS // SLOT_SECONDS <= slot <= newest + 1:
            return
        tallies = self._slots.setdefault(slot, {})
        for delta in deltas:
            key = RedKey(delta.kind, delta.service, delta.route, delta.peer)
            tally = tallies.get(key)
            if tally is None:
                tally = tallies[key] = Tally()
            tally.add(delta.counts, delta.statuses, delta.total_seconds)

    def expire(self, now: float) -> None:
        """Drop the slots that are older than an hour."""
        oldest = int((now - KEPT_SECONDS) // SLOT_SECONDS)
        for slot in [slot for slot in self._slots if slot < oldest]:
            del self._slots[slot]

    def within(self, start: float, end: float, service: str = "") -> dict[RedKey, Tally]:
        """Add up the slots that begin within [start, end), of one service or of all.

        May be called from another thread than `add`: what is added meanwhile may be in it or not.
        """
        merged: dict[RedKey, Tally] = {}
        for tallies in self._between(start, end):
            for key, tally in list(tallies.items()):  # a copy in one step, as others may add to it
                if service and key.service != service:
                    continue
                found = merged.get(key)
                if found is None:
                    found = merged[key] = Tally()
                found.merge(tally)
        return merged

    def _between(self, start: float, end: float) -> Iterator[dict[RedKey, Tally]]:
        first, last = math.ceil(start / SLOT_SECONDS), math.ceil(end / SLOT_SECONDS)
        return (found for slot in range(first, last) if (found := self._slots.get(slot)) is not None)
