"""What has changed lately: who holds the registry of a moment ago can follow from these alone.

    add      an entry has changed; if it had before, only the later change is kept
    prune    what is older than three minutes is forgotten
    entries  the rest, oldest first

A client applies them in order, counts its instances by status, and compares with apps__hashcode; when that differs it asks
for everything. So forgetting too early costs a full fetch and never a wrong list. Source: Eureka's recentlyChangedQueue,
whose every change of an instance is an item of its own, all showing its last state.
"""

from kinema.core.clock import Clock
from kinema.services.discovery.entries import Entry, Key

RETENTION_SECONDS = 180.0
_MOST = 20_000
_MOST_CHARACTERS = 64_000_000


class Changes:
    """The recently changed entries, on the given clock. `version` grows whenever the list differs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed: dict[Key, tuple[float, Entry]] = {}
        self._characters = 0
        self.version = 1

    def add(self, entry: Entry) -> None:
        """Note a change."""
        if entry.key in self._changed:
            self._forget(entry.key)
        self._changed[entry.key] = (self._clock.monotonic(), entry)
        self._characters += entry.characters
        while len(self._changed) > _MOST or self._characters > _MOST_CHARACTERS:
            self._forget(next(iter(self._changed)))
        self.version += 1

    def prune(self) -> None:
        """Forget what is old."""
        oldest = self._clock.monotonic() - RETENTION_SECONDS
        old = []
        for key, (at, _) in self._changed.items():
            if at > oldest:
                break
            old.append(key)
        for key in old:
            self._forget(key)
        if old:
            self.version += 1

    def entries(self) -> list[Entry]:
        """Return the entries that have changed, the longest ago first."""
        return [entry for _, entry in self._changed.values()]

    def _forget(self, key: Key) -> None:
        self._characters -= self._changed.pop(key)[1].characters
