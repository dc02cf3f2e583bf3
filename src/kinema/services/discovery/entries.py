"""The instances that a registry holds, and the indexes that make looking at ten thousand of them cheap.

One store, two kinds of entries. A *signed* one registered through /v1/registry with a service identity; it is what our own
calls go to. A *foreign* one registered by Eureka's contract; it is shown to everybody who asks by that contract and is
never called by us. The two kinds never share an application's name.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from kinema.model.discovery import Instance
from kinema.services.discovery.registrant import Registrant
from kinema.services.discovery.status import UNKNOWN

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"

_STALE_SECONDS = 120.0  # how old the lease's times in a list may be

Key = tuple[str, str]  # application in capitals, id of the instance


class Entry:
    """One instance with its lease. Times ending in `_ms` are wall time, the others lease time in seconds."""

    __slots__ = (
        "action",
        "characters",
        "duration",
        "evicted_ms",
        "info",
        "key",
        "last_dirty",
        "last_updated",
        "override",
        "registered",
        "registered_ms",
        "renewed",
        "renewed_ms",
        "said",
        "signed",
        "status",
        "texts",
        "texts_at",
        "up_ms",
    )

    def __init__(self, info: Registrant, signed: Instance | None, now: float, now_ms: int) -> None:
        self.key: Key = (info.app, info.id)
        self.info = info
        self.characters = info.characters
        self.signed = signed
        self.said = signed  # as it says so itself with each heartbeat, without what was added here
        self.status = info.status
        self.override = UNKNOWN
        self.action = ADDED
        self.last_dirty = info.last_dirty
        self.last_updated = now_ms
        self.duration = float(info.duration_seconds)
        self.registered = self.renewed = now
        self.registered_ms = self.renewed_ms = now_ms
        self.up_ms = 0
        self.evicted_ms = 0
        self.texts: dict[Callable[[Entry], bytes], bytes] = {}  # as each writer has written it, until it changes
        self.texts_at = now

    @property
    def ends(self) -> float:
        """The lease time at which the lease ends unless it is renewed."""
        return self.renewed + self.duration

    def renew(self, now: float, now_ms: int) -> None:
        """Begin the lease anew, and write anew what is so old that the times in it mislead."""
        self.renewed = now
        self.renewed_ms = now_ms
        if now - self.texts_at > _STALE_SECONDS:
            self.texts_at = now
            self.texts = {write: write(self) for write in self.texts}

    def changed(self, action: str, now_ms: int) -> None:
        """Note what has happened to it."""
        self.action = action
        self.last_updated = now_ms
        self.texts = {}


class Entries:
    """All entries. `version` counts the changes, `versions` those of each application, `signed_version` those of signed ones.

    `statuses` counts the entries of each status.
    """

    def __init__(self) -> None:
        self.apps: dict[str, dict[str, Entry]] = {}
        self.signed: dict[Key, Entry] = {}
        self.signed_apps: set[str] = set()  # names stay ours once they were
        self.version = 1
        self.signed_version = 1
        self.versions: dict[str, int] = {}
        self.size = 0
        self.foreign_characters = 0
        self.statuses: Counter[str] = Counter()
        self._vips: tuple[int, dict[tuple[bool, str], list[Entry]]] = (0, {})

    def get(self, key: Key) -> Entry | None:
        """Return the entry of an application's instance."""
        app = self.apps.get(key[0])
        return app.get(key[1]) if app else None

    def find(self, instance_id: str) -> Entry | None:
        """Return an entry by its id alone; of several a signed one."""
        found = None
        for app in self.apps.values():
            entry = app.get(instance_id)
            if entry is not None and (found is None or entry.signed is not None):
                found = entry
        return found

    def __iter__(self) -> Iterator[Entry]:
        for app in self.apps.values():
            yield from app.values()

    def put(self, entry: Entry) -> Entry | None:
        """Take an entry in; return the one whose place it takes. `touch` it afterwards."""
        name, instance_id = entry.key
        app = self.apps.setdefault(name, {})
        before = app.get(instance_id)
        app[instance_id] = entry
        if before is None:
            self.size += 1
        else:
            self._forget(before)
        self.statuses[entry.status] += 1
        if entry.signed is None:
            self.foreign_characters += entry.characters
        else:
            self.signed[entry.key] = entry
            self.signed_apps.add(name)
        return before

    def remove(self, entry: Entry) -> None:
        """Let an entry go. `touch` it afterwards."""
        name, instance_id = entry.key
        app = self.apps[name]
        del app[instance_id]
        if not app:
            del self.apps[name]
        self.size -= 1
        self.signed.pop(entry.key, None)
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        self.statuses[entry.status] -= 1
        if entry.signed is None:
            self.foreign_characters -= entry.characters

    def set_status(self, entry: Entry, status: str) -> None:
        """Give an entry another status. `touch` it afterwards."""
        self.statuses[entry.status] -= 1
        self.statuses[status] += 1
        entry.status = status

    def touch(self, entry: Entry) -> None:
        """Count a change of an entry."""
        self.version += 1
        name = entry.key[0]
        if name in self.apps:
            self.versions[name] = self.version
        else:
            self.versions.pop(name, None)
        if entry.signed is not None:
            self.signed_version += 1

    def with_vip(self, vip: str, *, secure: bool) -> list[Entry]:
        """Return the entries that have a virtual address."""
        version, found = self._vips
        if version != self.version:
            found = {}
            for entry in self:
                for name in entry.info.vips:
                    found.setdefault((False, name), []).append(entry)
                for name in entry.info.secure_vips:
                    found.setdefault((True, name), []).append(entry)
            self._vips = (self.version, found)
        return found.get((secure, vip), [])


def hash_code(statuses: Counter[str]) -> str:
    """Return Eureka's digest of a list of instances: how many there are of each status, by name."""
    return "".join(f"{status}_{count}_" for status, count in sorted(statuses.items()) if count > 0)
