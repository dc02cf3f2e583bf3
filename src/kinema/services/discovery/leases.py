"""Leases: an instance is believed to be there for six seconds after it last said so.

    renew     the instance's lease ends `lease_seconds` from now; a new or changed instance is a change
    cancel    the lease ends now; remembered for a lease as one that has left
    live      those whose lease has not ended; each end that is noticed is a change
    version   counts the changes

Nothing is written down: a registry that restarts is full again within one heartbeat (2 s). Until it has been up for a
lease it says that it is not settled, so that nobody takes its emptiness for the truth.
"""

from kinema.core.clock import Clock
from kinema.core.errors import TooMany
from kinema.model.discovery import Instance, Registry

LEASE_SECONDS = 6.0
_MOST = 10_000


class Leases:
    """The state of one registry; asks the clock only."""

    def __init__(self, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        self._clock = clock
        self._lease = lease_seconds
        self._born = clock.monotonic()
        self._entries: dict[tuple[str, str], tuple[Instance, float]] = {}
        self._left: dict[tuple[str, str], float] = {}
        self._version = 0

    def renew(self, instance: Instance) -> None:
        """Register or keep an instance. Raises TooMany when the registry is full and the instance new."""
        self._expire()
        key = (instance.service, instance.instance)
        known = self._entries.get(key)
        if known is None and len(self._entries) >= _MOST:
            raise TooMany(f"The registry holds {_MOST} instances; stop some before {instance.instance} can register.")
        if known is None or known[0] != instance:
            self._version += 1
        self._entries[key] = (instance, self._clock.monotonic() + self._lease)
        self._left.pop(key, None)

    def cancel(self, service: str, instance: str) -> None:
        """Take an instance out; one that is not there is fine."""
        if self._entries.pop((service, instance), None) is not None:
            self._left[service, instance] = self._clock.monotonic() + self._lease
            self._version += 1

    def registry(self) -> Registry:
        """Return everybody whose lease has not ended."""
        self._expire()
        return Registry(
            version=self._version,
            instances=tuple(instance for instance, _ in self._entries.values()),
            settled=self._clock.monotonic() - self._born >= self._lease,
            left=tuple(f"{service}/{instance}" for service, instance in self._left),
        )

    def _expire(self) -> None:
        now = self._clock.monotonic()
        ended = [key for key, (_, until) in self._entries.items() if until <= now]
        for key in ended:
            del self._entries[key]
        forgotten = [key for key, until in self._left.items() if until <= now]
        for key in forgotten:
            del self._left[key]
        self._version += len(ended) + len(forgotten)
