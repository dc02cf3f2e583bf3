"""Instances that just refused a connection are passed over for a moment, long before their lease runs out."""

from collections.abc import Sequence

from kinema.core.clock import Clock
from kinema.model.discovery import Instance


class Avoidance:
    """Remembers addresses for `seconds`. Nobody is avoided when nobody else is left: a wrong suspicion must not cut a service off."""

    __slots__ = ("_clock", "_seconds", "_until")

    def __init__(self, clock: Clock, seconds: float = 2.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def avoid(self, address: str) -> None:
        """Pass this address over from now on."""
        self._until[address] = self._clock.monotonic() + self._seconds

    def forgive(self, address: str) -> None:
        """The address has answered."""
        self._until.pop(address, None)

    @property
    def any(self) -> bool:
        """Whether there is anybody to pass over."""
        return bool(self._until)

    def without(self, candidates: Sequence[Instance]) -> Sequence[Instance]:
        """Return the candidates that are not avoided, or all of them when none would be left."""
        now = self._clock.monotonic()
        for address in [address for address, until in self._until.items() if until <= now]:
            del self._until[address]
        return [one for one in candidates if one.address not in self._until] or candidates
