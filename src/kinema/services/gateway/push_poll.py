"""What the region itself tells devices: a new catalogue version, and to operators the state of jobs. Asked while somebody listens.

nobody listens     nothing is asked
somebody listens   one shared poll a second: every catalog instance for its version, encoding for its jobs (for operators)
a change           goes to everybody whom it concerns; a version, when all catalog instances serve it, so that
                   whoever reads the catalogue after the event finds it wherever he asks
who comes later    begins with the last of each
"""

import asyncio
from contextlib import suppress

import msgspec

from kinema.core.errors import KinemaError
from kinema.model.catalog import CatalogVersion
from kinema.model.encoding import JobPage
from kinema.rpc.client import Rpc
from kinema.services.gateway.push_event import PushEvent, event_of
from kinema.services.gateway.push_registry import Device, Registry


class _Version(msgspec.Struct, frozen=True):
    version: int


class Poll:
    """The present state, as events."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._catalog: PushEvent | None = None
        self._jobs: PushEvent | None = None

    def present(self, device: Device) -> list[PushEvent]:
        """Return what a new device begins with."""
        events = (self._catalog, self._jobs if device.role == "operator" else None)
        return [event for event in events if event is not None]

    def forget(self) -> None:
        """Nobody listens any more: what is known grows old."""
        self._catalog = self._jobs = None

    async def changes(self, registry: Registry) -> list[tuple[PushEvent, bool]]:
        """Ask once; return what has changed, each with whether it is for operators only."""
        catalog, jobs = await asyncio.gather(self._ask_catalog(), self._ask_jobs(wanted=registry.operators > 0))
        found: list[tuple[PushEvent, bool]] = []
        if catalog is not None and (self._catalog is None or catalog.data != self._catalog.data):
            self._catalog = catalog
            found.append((catalog, False))
        if jobs is not None and (self._jobs is None or jobs.data != self._jobs.data):
            self._jobs = jobs
            found.append((jobs, True))
        return found

    async def _ask_catalog(self) -> PushEvent | None:
        """Return the event for the version that all catalog instances serve; nothing while they differ."""
        asked = [
            self._rpc.call_at(one, "GET", "/v1/catalog/version", type=CatalogVersion)
            for one in self._rpc.directory.instances("catalog")
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        versions = {answer.version for answer in answers if isinstance(answer, CatalogVersion)}
        return event_of("catalog", _Version(versions.pop())) if len(versions) == 1 else None

    async def _ask_jobs(self, *, wanted: bool) -> PushEvent | None:
        if not wanted:
            return None
        with suppress(KinemaError):
            page = await self._rpc.call("encoding", "GET", "/v1/jobs", type=JobPage, deadline_seconds=2.0)
            return event_of("jobs", {"jobs": page.jobs})
        return None
