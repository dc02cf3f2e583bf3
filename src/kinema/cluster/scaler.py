"""The supervisor's own autoscaler: it measures what the processes of each group use and adds or removes some.

A Python process uses one processor at most, so its share of one is its utilisation. A process more helps only while the
machine has a processor to spare; without one nothing is added, and shedding has to see the peak through.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from kinema.cluster.autoscaling import Autoscaler, Plan
from kinema.cluster.processors import Meter
from kinema.cluster.topology import Process, Scale
from kinema.core.clock import Clock

_MEASURE_SECONDS = 2.0
_SPARE = 0.5  # processors that must be there to be had before one more process is started
_NOT_COPIED = frozenset({"discovery"})  # a registry's address is known from the start on


class Grows(Protocol):
    """Who starts and ends processes (the supervisor)."""

    def processes(self) -> tuple[Process, ...]:
        """Return the processes that run services."""
        ...

    def pid(self, name: str) -> int:
        """Return the id of a process; 0 while it does not run."""
        ...

    def add(self, process: Process) -> None:
        """Start one more process."""
        ...

    async def remove(self, name: str) -> None:
        """Have a process leave gently and for good."""
        ...


class Scaler:
    """Runs until it is cancelled. `say` hears of each change."""

    def __init__(
        self, scales: tuple[Scale, ...], supervisor: Grows, clock: Clock, say: Callable[[str], None], meter: Meter
    ) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._say = say
        self._meter = meter
        self._groups = {
            scale.group: Autoscaler(
                Plan(
                    least=len(self._members(scale.group)),
                    most=max(scale.most, len(self._members(scale.group))),
                    target=scale.target,
                )
            )
            for scale in scales
        }

    async def run(self) -> None:
        """Measure and act every two seconds."""
        while True:
            await self._clock.sleep(_MEASURE_SECONDS)
            await self.step()

    async def step(self) -> None:
        """Measure once and act on it."""
        now = self._clock.monotonic()
        available = self._meter.available(now)
        for group, autoscaler in self._groups.items():
            members = self._members(group)
            shares = [self._meter.used(self._supervisor.pid(one.name), now) for one in members]
            if any(share is None for share in shares):
                continue  # one has just been started or is being replaced
            demand = sum(share for share in shares if share is not None)
            desired = autoscaler.desired(now, demand, len(members))
            if desired > len(members):
                available = self._grow(members, desired, available, demand)
            elif desired < len(members):
                await self._shrink(members, demand)

    def _grow(self, members: tuple[Process, ...], desired: int, available: float, demand: float) -> float:
        """Add what the machine has room for; return the processors that are then left."""
        for _ in range(desired - len(members)):
            if available < _SPARE:
                return available
            available -= 1.0
            process = next_process(members)
            members = (*members, process)
            self._supervisor.add(process)
            self._say(f"{process.name} is added: the group uses {demand:.2f} processors")
        return available

    async def _shrink(self, members: tuple[Process, ...], demand: float) -> None:
        name = max(members, key=lambda one: int(one.number)).name
        self._say(f"{name} is removed: the group uses {demand:.2f} processors")
        await self._supervisor.remove(name)

    def _members(self, group: str) -> tuple[Process, ...]:
        return tuple(one for one in self._supervisor.processes() if one.group == group)


def next_process(members: tuple[Process, ...]) -> Process:
    """Return one more process of the kind of these, with the lowest free number."""
    first = members[0]
    taken = {int(one.number) for one in members}
    number = next(number for number in range(1, 100) if number not in taken)
    services = tuple(service for service in first.services if service not in _NOT_COPIED)
    return msgspec.structs.replace(first, name=f"{first.group}-{number}", services=services, wave=3)
