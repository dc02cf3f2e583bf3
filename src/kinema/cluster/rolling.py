"""A rolling restart: one process after the other makes way for its successor, so that every service is there all the time.

    for each process:  have it make way     its services sign off, serve on until every caller has noticed, and end;
                                            gateway and edge leave their connections to the successor on the same socket
                       start its successor
                       wait until each of its instances is registered anew; if one never is, leave the others alone
                       pause                until every caller has heard of it

A service of which only one process runs is away while that process restarts; callers wait for it or fail.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from kinema.cluster.topology import Process
from kinema.core.clock import Clock
from kinema.core.errors import Unavailable
from kinema.core.stopping import LINGER_SECONDS

_COME_BACK_SECONDS = 60.0
_POLL_SECONDS = 0.1
_UNREGISTERED = frozenset({"worker"})


class Renews(Protocol):
    """Who replaces processes (the supervisor)."""

    async def renew(self, name: str) -> None:
        """Have a process make way and start its successor."""
        ...


class Registered(Protocol):
    """Who knows the registries (`readiness.Questions`)."""

    async def registered_since(self, service: str, instance: str, since: float) -> bool:
        """Say whether an instance is registered from a start at or after `since`."""
        ...


async def restart(
    processes: Sequence[Process], supervisor: Renews, questions: Registered, clock: Clock, say: Callable[[str], None]
) -> None:
    """Replace these processes in turn; `say` hears of each step. Raises Unavailable when one does not come back."""
    for number, process in enumerate(processes, 1):
        say(f"{number} of {len(processes)}: {process.name} makes way")
        begun = time.time()
        await supervisor.renew(process.name)
        awaited = [service for service in process.services if service not in _UNREGISTERED]
        await _until_registered(process, awaited, begun, questions, clock)
        say(f"{number} of {len(processes)}: {process.name} is back after {time.time() - begun:.1f} s")
        if awaited:
            await clock.sleep(LINGER_SECONDS)


async def _until_registered(
    process: Process, services: list[str], since: float, questions: Registered, clock: Clock
) -> None:
    deadline = clock.monotonic() + _COME_BACK_SECONDS
    for service in services:
        while not await questions.registered_since(service, process.instance(service), since):
            if clock.monotonic() > deadline:
                raise Unavailable(
                    f"{process.instance(service)} did not come back within {_COME_BACK_SECONDS:.0f} s, so the processes "
                    f"after {process.name} were left as they are; the log says what keeps it."
                )
            await clock.sleep(_POLL_SECONDS)
