"""Registries of other regions, shown to who asks with `?regions=`.

    fetch    each 30 s the whole list of one of the region's registries; when that one does not answer, the next
    compare  with the list before; the difference is what the region's delta shows
    keep     the last list, while nobody there answers

Regions share nothing, keys neither: what another region says is read and shown, and nothing here acts on it. Source: Eureka's
RemoteRegionRegistry, whose apps are also given to who does not ask for them; here a region's own list stays its own.
"""

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Unavailable
from kinema.core.log import get_logger
from kinema.http import Client
from kinema.services.discovery.changes import Changes
from kinema.services.discovery.entries import ADDED, DELETED, MODIFIED, Entry, Key
from kinema.services.discovery.eureka_reading import decompress, read_applications
from kinema.services.discovery.registrant import Registrant, check_registrant

_REFRESH_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
_MOST_BYTES = 128 << 20
_SLICE = 100  # instances that are compared between two turns of the event loop
_REGION = re.compile(r"([a-z0-9][a-z0-9-]{0,62})=([^=,]+:[0-9]{1,5}(?:,[^=,]+:[0-9]{1,5})*)")
_log = get_logger(__name__)


def parse_regions(text: str) -> dict[str, tuple[str, ...]]:
    """Return the registries (host:port) of other regions from "west=10.1.0.1:8761,10.1.0.2:8761 east=...". Raises BadInput."""
    regions: dict[str, tuple[str, ...]] = {}
    for part in text.split():
        found = _REGION.fullmatch(part)
        if found is None or found[1] in regions:
            raise BadInput(
                f"registry_regions has {part[:100]!r}; write regions once each, as in west=10.1.0.1:8761,10.1.0.2:8761"
            )
        regions[found[1]] = tuple(found[2].split(","))
    return regions


class RemoteRegion:
    """The last list of one other region. `version` grows with each difference."""

    def __init__(self, name: str, addresses: Sequence[str], client: Client, clock: Clock, token: str) -> None:
        self.name = name
        self.apps: dict[str, dict[str, Entry]] = {}
        self.changes = Changes(clock)
        self.statuses: Counter[str] = Counter()
        self.version = 0  # 0: nobody there has answered yet
        self._addresses = list(addresses)
        self._client = client
        self._clock = clock
        self._headers = [(b"accept", b"application/json"), (b"accept-encoding", b"gzip")]
        if token:
            self._headers.append((b"authorization", b"Basic " + base64.b64encode(b"registry:" + token.encode())))

    def check(self) -> None:
        """Raise Unavailable until the region has answered once: a list without it would look whole."""
        if not self.version:
            raise Unavailable(f"No registry of the region {self.name} has answered yet; ask again in a moment.")

    def entries(self) -> Iterable[Entry]:
        """Return its instances."""
        return (entry for app in self.apps.values() for entry in app.values())

    async def run(self) -> None:
        """Follow the region until cancelled."""
        complained = False
        while True:
            try:
                await self._fetch(self._addresses[0])
                complained = False
                await self._clock.sleep(_REFRESH_SECONDS)
            except Exception as error:  # noqa: BLE001 -- whatever it was, the region is followed further
                self._addresses.append(self._addresses.pop(0))
                if not complained:
                    _log.warning("a registry of another region does not answer", region=self.name, error=str(error))
                    complained = True
                await self._clock.sleep(_RETRY_SECONDS)

    async def _fetch(self, address: str) -> None:
        answer = await self._client.fetch(address, "GET", "/eureka/v2/apps", self._headers, timeout=_ANSWER_SECONDS)
        if answer.status != 200:
            raise Unavailable(f"The registry {address} answered with status {answer.status}.")
        body = answer.body
        if answer.headers.get(b"content-encoding") == b"gzip":
            body = decompress(body, _MOST_BYTES)
        now_ms = int(self._clock.now() * 1000)
        await self._take(await asyncio.to_thread(read_applications, body, now_ms), now_ms)

    async def _take(self, found: Sequence[Registrant], now_ms: int) -> None:
        """Put a whole list in the place of the one before."""
        before: dict[Key, Entry] = {entry.key: entry for entry in self.entries()}
        apps: dict[str, dict[str, Entry]] = {}
        for number, info in enumerate(found, 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            try:
                check_registrant(info, info.app, now_ms)
            except BadInput as error:
                _log.debug("not shown from another region", region=self.name, instance=info.id, error=str(error))
                continue
            known = before.pop((info.app, info.id), None)
            if known is None or known.info != info:
                entry = self._entry(info, ADDED if known is None else MODIFIED)
            else:
                entry = known
            apps.setdefault(info.app, {})[info.id] = entry
        for gone in before.values():
            gone.changed(DELETED, now_ms)
            self.changes.add(gone)
        self.changes.prune()
        self.apps = apps
        self.statuses = Counter(entry.status for entry in self.entries())
        self.version += 1

    def _entry(self, info: Registrant, action: str) -> Entry:
        entry = Entry(info, None, 0.0, info.last_updated)
        entry.override = info.overridden_status
        entry.action = action
        self.changes.add(entry)
        return entry


class RemoteRegions:
    """All other regions that this registry follows."""

    def __init__(self, regions: Mapping[str, RemoteRegion]) -> None:
        self._regions = regions
        self._tasks: list[asyncio.Task[None]] = []

    def chosen(self, names: str) -> tuple[RemoteRegion, ...]:
        """Return the regions that a query names ("west,east"); this one and unknown ones are none. Raises Unavailable."""
        found = tuple(self._regions[name] for name in sorted({*names.lower().split(",")}) if name in self._regions)
        for region in found:
            region.check()
        return found

    def start(self) -> None:
        """Begin to follow them."""
        self._tasks = [asyncio.create_task(region.run()) for region in self._regions.values()]

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
