"""Which instance gets the next attempt: the live ones, less those already tried, less those avoided, then the choice of two."""

from collections.abc import Collection, Sequence
from random import Random
from typing import Protocol

from kinema.core.clock import Clock
from kinema.model.discovery import Instance
from kinema.rpc.balance.avoidance import Avoidance
from kinema.rpc.balance.choice_of_two import choose


class InstanceSource(Protocol):
    """Who knows the live instances (the directory)."""

    def instances(self, service: str) -> Sequence[Instance]:
        """Return the live instances of a service."""
        ...


class Balancer:
    """Counts what is under way by address. Every `pick` that is used is followed by `begin` and exactly one `end`."""

    def __init__(self, source: InstanceSource, clock: Clock, random: Random | None = None) -> None:
        self._source = source
        self._random = random or Random()  # noqa: S311 (spreads load, guards nothing)
        self._avoidance = Avoidance(clock)
        self.loads: dict[str, int] = {}

    def pick(self, service: str, tried: Collection[str] = ()) -> Instance | None:
        """Return an instance whose address is not among the tried ones, or None."""
        candidates: Sequence[Instance] = self._source.instances(service)
        if tried:
            candidates = [one for one in candidates if one.address not in tried]
        if self._avoidance.any and candidates:
            candidates = self._avoidance.without(candidates)
        return choose(candidates, self.loads, self._random) if candidates else None

    def begin(self, address: str) -> None:
        """A request goes to this address."""
        self.loads[address] = self.loads.get(address, 0) + 1

    def end(self, address: str) -> None:
        """It is over, however it went."""
        left = self.loads.get(address, 0) - 1
        if left > 0:
            self.loads[address] = left
        else:
            self.loads.pop(address, None)

    def refused(self, address: str) -> None:
        """No connection could be made to this address."""
        self._avoidance.avoid(address)

    def answered(self, address: str) -> None:
        """The address has answered."""
        if self._avoidance.any:
            self._avoidance.forgive(address)
