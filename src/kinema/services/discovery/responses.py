"""Lists as they are sent, written once for everybody who asks before the next change.

Eureka's ResponseCache gives answers that are up to 30 s old, and its clients keep theirs for 30 s more. Here an answer holds
until what it shows has changed: whole lists are put together from the texts of applications, these from the texts of entries,
and each of the three is written anew only where it is not what it was. The times of the leases in a list may be two minutes
old, as heartbeats are no changes.
"""

import asyncio
import zlib
from collections.abc import Callable

from kinema.services.discovery.entries import Entry
from kinema.services.discovery.eureka_writing import Format
from kinema.services.discovery.instances import InstanceRegistry

_STALE_SECONDS = 120.0
_MOST = 2_000  # answers that are kept: whole lists, deltas, virtual addresses
_THREAD_BYTES = 131_072  # compressing more would keep the event loop for milliseconds
_LEVEL = 1


class Answer:
    """A list in one language, plain, and compressed once somebody takes it so."""

    def __init__(self, version: object, at: float, plain: bytes) -> None:
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
    """The lists of one registry. `foreign` gives the applications of other regions, written in a format."""

    def __init__(self, registry: InstanceRegistry) -> None:
        self._registry = registry
        self._answers: dict[tuple[str, str, str], Answer] = {}
        self._applications: dict[tuple[str, str], tuple[int, float, bytes]] = {}

    def everything(self, form: Format) -> Answer:
        """Return all applications."""
        entries = self._registry.entries

        def write() -> bytes:
            texts = [self._application(name, form) for name in entries.apps]
            return form.applications(1, entries.hash_code(), texts)

        return self._kept(("apps", "", form.name), entries.version, write)

    def delta(self, form: Format) -> Answer:
        """Return what has changed in the last three minutes."""
        changes, entries = self._registry.changes, self._registry.entries

        def write() -> bytes:
            return form.applications(changes.version, entries.hash_code(), _grouped(changes.entries(), form))

        return self._kept(("delta", "", form.name), changes.version, write)

    def application(self, name: str, form: Format) -> bytes | None:
        """Return one application; None when it has no instances."""
        if name not in self._registry.entries.apps:
            return None
        return form.single(self._application(name, form))

    def virtual(self, vip: str, form: Format, *, secure: bool) -> Answer | None:
        """Return the applications with instances at a virtual address; None when there are none."""
        entries = self._registry.entries
        found = entries.with_vip(vip, secure=secure)
        if not found:
            return None

        def write() -> bytes:
            counts: dict[str, int] = {}
            for entry in found:
                counts[entry.status] = counts.get(entry.status, 0) + 1
            hash_code = "".join(f"{status}_{count}_" for status, count in sorted(counts.items()))
            return form.applications(-1, hash_code, _grouped(found, form))

        return self._kept(("svips" if secure else "vips", vip, form.name), entries.version, write)

    def _kept(self, key: tuple[str, str, str], version: object, write: Callable[[], bytes]) -> Answer:
        now = self._registry.time.now()
        kept = self._answers.get(key)
        if kept is None or kept.version != version or now - kept.at > _STALE_SECONDS:
            kept = Answer(version, now, write())
            self._answers.pop(key, None)
            self._answers[key] = kept
            if len(self._answers) > _MOST:
                del self._answers[next(iter(self._answers))]
        return kept

    def _application(self, name: str, form: Format) -> bytes:
        entries, now = self._registry.entries, self._registry.time.now()
        version = entries.versions[name]
        kept = self._applications.get((name, form.name))
        if kept is None or kept[0] != version or now - kept[1] > _STALE_SECONDS:
            if len(self._applications) > 4 * max(len(entries.apps), _MOST):  # names that are gone
                self._applications.clear()
            text = form.application(name, [form.text(entry) for entry in entries.apps[name].values()])
            kept = self._applications[name, form.name] = (version, now, text)
        return kept[2]


def _grouped(entries: list[Entry], form: Format) -> list[bytes]:
    by_app: dict[str, list[bytes]] = {}
    for entry in entries:
        by_app.setdefault(entry.key[0], []).append(form.text(entry))
    return [form.application(name, texts) for name, texts in by_app.items()]


def _gzip(plain: bytes) -> bytes:
    packing = zlib.compressobj(_LEVEL, wbits=31)
    return packing.compress(plain) + packing.flush()
