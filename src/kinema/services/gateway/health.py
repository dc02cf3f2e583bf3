"""Whether a play would succeed: every service that it needs has an instance that answers, asked at most once a second."""

import asyncio
from collections.abc import Sequence

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.http import Client
from kinema.model.discovery import Instance
from kinema.rpc.directory import Directory

NEEDED = ("members", "catalog", "encoding", "playback", "edge")

_GOOD_SECONDS = 1.0  # how long a good answer is repeated
_BAD_SECONDS = 0.1  # a bad one may change at any moment while a region starts
_PROBE_SECONDS = 1.0


class Report(msgspec.Struct, frozen=True):
    """What /healthz says. `missing` are the services without an instance that answers."""

    ready: bool
    missing: tuple[str, ...]


class Health:
    """Probes the services' /healthz; callers that come together share one round of probes."""

    def __init__(self, directory: Directory, client: Client, clock: Clock, needed: Sequence[str] = NEEDED) -> None:
        self._directory = directory
        self._client = client
        self._clock = clock
        self._needed = tuple(needed)
        self._report: Report | None = None
        self._until = float("-inf")
        self._round: asyncio.Task[Report] | None = None

    async def report(self) -> Report:
        """Return the present state."""
        if self._report is not None and self._clock.monotonic() < self._until:
            return self._report
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._probe_all())
        return await asyncio.shield(self._round)

    async def _probe_all(self) -> Report:
        found = await asyncio.gather(*(self._answers(service) for service in self._needed))
        missing = tuple(service for service, answers in zip(self._needed, found, strict=True) if not answers)
        if missing:
            self._directory.hurry()
        report = Report(ready=not missing, missing=missing)
        self._report = report
        self._until = self._clock.monotonic() + (_BAD_SECONDS if missing else _GOOD_SECONDS)
        return report

    async def _answers(self, service: str) -> bool:
        """Whether any instance of the service answers; all are asked at once, so a dead one costs nothing."""
        probes = [asyncio.create_task(self._probe(one)) for one in self._directory.instances(service)]
        try:
            for probe in asyncio.as_completed(probes):
                if await probe:
                    return True
            return False
        finally:
            for probe in probes:
                probe.cancel()

    async def _probe(self, instance: Instance) -> bool:
        try:
            answer = await self._client.fetch(instance.address, "GET", "/healthz", timeout=_PROBE_SECONDS)
        except KinemaError:
            return False
        return answer.status == 200
