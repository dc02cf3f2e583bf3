"""Lists as they are sent, written once for everybody who asks before the next change.

Eureka's ResponseCache gives answers that are up to 30 s old, and its clients keep theirs for 30 s more. Here an answer holds
until what it shows has changed: whole lists are put together from the texts of applications, these from the texts of entries,
and each of the three is written anew only where it is not what it was. The times of the leases in a list may be two minutes
old, as heartbeats are no changes.

Writing ten thousand entries takes a tenth of a second. That is done in slices between which others are served; what changes
meanwhile is written anew when the list is put together at the end.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import Sequence

from kinema.services.discovery.changes import Changes
from kinema.services.discovery.entries import Entry, hash_code
from kinema.services.discovery.eureka_writing import Format
from kinema.services.discovery.instances import InstanceRegistry
from kinema.services.discovery.remote_regions import RemoteRegion

_STALE_SECONDS = 120.0
_MOST = 2_000  # answers that are kept: whole lists, deltas, virtual addresses
_MOST_BYTES = 256_000_000
_THREAD_BYTES = 131_072  # compressing more would keep the event loop for milliseconds
_LEVEL = 1
_SLICE = 200  # entries that are written between two turns of the event loop, 3 ms


class Answer:
    """A list in one language, plain, and compressed once somebody takes it so."""

    def __init__(self, version: tuple[int, ...], at: float, plain: bytes) -> None:
        self.version = version
        self.at = at
        self.plain = plain
        self._gzipped: asyncio.Future[bytes] | None = None

    async def gzipped(self) -> bytes:
        """Return it compressed; what is large is compressed in a thread, once for all who wait."""
        if self._gzipped is None:
            self._gzipped = asyncio.get_running_loop().create_future()
            try:
                large = len(self.plain) > _THREAD_BYTES
                packed = await asyncio.to_thread(_gzip, self.plain) if large else _gzip(self.plain)
            except BaseException:
                self._gzipped.cancel()  # who asked has gone; the next one does it
                self._gzipped = None
                raise
            self._gzipped.set_result(packed)
        return await asyncio.shield(self._gzipped)


class Responses:
    """The lists of one registry."""

    def __init__(self, registry: InstanceRegistry) -> None:
        self._registry = registry
        self._answers: dict[tuple[str, str, str], Answer] = {}
        self._bytes = 0
        self._applications: dict[tuple[str, str], tuple[int, float, bytes]] = {}

    async def everything(self, form: Format, regions: Sequence[RemoteRegion] = ()) -> Answer:
        """Return all applications of this region and of others."""
        entries = self._registry.entries
        key = ("apps", ",".join(region.name for region in regions), form.name)
        if (kept := self._kept(key, self._version(regions))) is not None:
            return kept
        await _prepare((*entries, *_remote(regions)), form)
        names = dict.fromkeys((*entries.apps, *(name for region in regions for name in region.apps)))
        texts = [self._application(name, form, regions) for name in names]
        digest = hash_code(_statuses(entries.statuses, regions))
        return self._keep(key, self._version(regions), form.applications(1, digest, texts))

    async def delta(self, form: Format, regions: Sequence[RemoteRegion] = ()) -> Answer:
        """Return what has changed in the last three minutes, here and in other regions."""
        changes, entries = self._registry.changes, self._registry.entries
        key = ("delta", ",".join(region.name for region in regions), form.name)
        if (kept := self._kept(key, self._version(regions))) is not None:
            return kept
        await _prepare(_changed(changes, regions), form)
        texts = _grouped(_changed(changes, regions), form)
        digest = hash_code(_statuses(entries.statuses, regions))
        return self._keep(key, self._version(regions), form.applications(changes.version, digest, texts))

    def application(self, name: str, form: Format) -> bytes | None:
        """Return one application; None when it has no instances."""
        if name not in self._registry.entries.apps:
            return None
        return form.single(self._application(name, form, ()))

    async def virtual(self, vip: str, form: Format, *, secure: bool) -> Answer | None:
        """Return the applications with instances at a virtual address; None when there are none."""
        entries = self._registry.entries
        key = ("svips" if secure else "vips", vip, form.name)
        if (kept := self._kept(key, self._version(()))) is not None:
            return kept
        await _prepare(entries.with_vip(vip, secure=secure), form)
        found = entries.with_vip(vip, secure=secure)
        if not found:
            return None
        counts = Counter(entry.status for entry in found)
        return self._keep(key, self._version(()), form.applications(-1, hash_code(counts), _grouped(found, form)))

    def _version(self, regions: Sequence[RemoteRegion]) -> tuple[int, ...]:
        own = (self._registry.entries.version, self._registry.changes.version)
        return own + tuple(version for region in regions for version in (region.version, region.changes.version))

    def _kept(self, key: tuple[str, str, str], version: tuple[int, ...]) -> Answer | None:
        kept = self._answers.get(key)
        if kept is None or kept.version != version or self._registry.time.now() - kept.at > _STALE_SECONDS:
            return None
        return kept

    def _keep(self, key: tuple[str, str, str], version: tuple[int, ...], plain: bytes) -> Answer:
        before = self._answers.pop(key, None)
        answer = self._answers[key] = Answer(version, self._registry.time.now(), plain)
        self._bytes += len(plain) - (len(before.plain) if before is not None else 0)
        while len(self._answers) > _MOST or (self._bytes > _MOST_BYTES and len(self._answers) > 1):
            self._bytes -= len(self._answers.pop(next(iter(self._answers))).plain)
        return answer

    def _application(self, name: str, form: Format, regions: Sequence[RemoteRegion]) -> bytes:
        theirs = [entry for region in regions for entry in region.apps.get(name, {}).values()]
        if theirs:
            mine = self._registry.entries.apps.get(name, {}).values()
            return form.application(name, [form.text(entry) for entry in (*mine, *theirs)])
        entries, now = self._registry.entries, self._registry.time.now()
        version = entries.versions[name]
        kept = self._applications.get((name, form.name))
        if kept is None or kept[0] != version or now - kept[1] > _STALE_SECONDS:
            if len(self._applications) > 4 * max(len(entries.apps), _MOST):  # names that are gone
                self._applications.clear()
            text = form.application(name, [form.text(entry) for entry in entries.apps[name].values()])
            kept = self._applications[name, form.name] = (version, now, text)
        return kept[2]


def _remote(regions: Sequence[RemoteRegion]) -> list[Entry]:
    return [entry for region in regions for entry in region.entries()]


def _changed(changes: Changes, regions: Sequence[RemoteRegion]) -> list[Entry]:
    return [entry for one in (changes, *(region.changes for region in regions)) for entry in one.entries()]


def _statuses(own: Counter[str], regions: Sequence[RemoteRegion]) -> Counter[str]:
    return sum((region.statuses for region in regions), start=own)


async def _prepare(entries: Sequence[Entry], form: Format) -> None:
    """Write those entries that are not written yet, letting others have their turn."""
    written = 0
    for entry in entries:
        if form.entry not in entry.texts:
            form.text(entry)
            written += 1
            if written % _SLICE == 0:
                await asyncio.sleep(0)


def _grouped(entries: list[Entry], form: Format) -> list[bytes]:
    by_app: dict[str, list[bytes]] = {}
    for entry in entries:
        by_app.setdefault(entry.key[0], []).append(form.text(entry))
    return [form.application(name, texts) for name, texts in by_app.items()]


def _gzip(plain: bytes) -> bytes:
    packing = zlib.compressobj(_LEVEL, wbits=31)
    return packing.compress(plain) + packing.flush()
