"""The time that leases are measured in: it stands still while this registry is not running.

    now    what the last tick said, plus the time since, but at most `_LONGEST_STEP`
    tick   called twice a second by whoever runs the registry

A registry that was stopped for ten seconds (a busy machine, a paused virtual machine) has ten seconds of heartbeats waiting
in its sockets. Measured by the clock, all its leases would have ended at that moment and everybody would be thrown out.
Source: the compensation time of Eureka's EvictionTask, made continuous.
"""

from kinema.core.clock import Clock

TICK_SECONDS = 0.5
_LONGEST_STEP = 2 * TICK_SECONDS


class LeaseTime:
    """Seconds in which this registry could have heard a heartbeat."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()
        self._base = 0.0

    def now(self) -> float:
        """Return the seconds since this registry began, without those in which it stood still."""
        return self._base + min(self._clock.monotonic() - self._at, _LONGEST_STEP)

    def tick(self) -> None:
        """Say that the registry runs."""
        self._base = self.now()
        self._at = self._clock.monotonic()
