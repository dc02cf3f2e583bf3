"""Messages that live for a while, for devices that come back; and which messages were there before. No I/O.

A message's id sorts by the time at which it was taken. A device that comes back says which id it had last and gets what was
kept since; who says nothing gets what comes from now on. So no device gets a message twice, on whichever gateway it comes
back, and one that cannot say what it had misses what came in between: at most once. The oldest goes when there is no room.
What is kept is lost with the process.
"""

from collections.abc import Iterator

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import Conflict
from kinema.model.push import HandedMessage, Taken, Target
from kinema.services.gateway.push_event import PushEvent
from kinema.services.gateway.push_registry import Device, reaches

MOST_KEPT = 1_000
MOST_KEPT_BYTES = 4 * 1024 * 1024
MOST_REMEMBERED = 20_000
REMEMBERED_SECONDS = 3_600.0

EVERYTHING = "0"
"""What a device says that wants all that is kept."""


class _Kept(msgspec.Struct, frozen=True):
    event: PushEvent
    target: Target
    collapse_key: str | None
    expires_at: float


class Mailbox:
    """What one gateway keeps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._newest: dict[tuple[Target, str], str] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, handed: HandedMessage, event: PushEvent) -> None:
        """Keep a message until it expires, a newer one takes its place, or there is no room."""
        now = self._clock.now()
        for message_id in [one for one, kept in self._kept.items() if kept.expires_at <= now]:
            self._forget(message_id)
        if handed.expires_at <= now:
            return
        message = handed.message
        if message.collapse_key is not None:
            before = self._newest.get((message.to, message.collapse_key))
            if before is not None:
                if before > handed.message_id:
                    return  # it was overtaken on its way
                self._forget(before)
            self._newest[message.to, message.collapse_key] = handed.message_id
        self._kept[handed.message_id] = _Kept(event, message.to, message.collapse_key, handed.expires_at)
        self._bytes += len(event.data)
        while len(self._kept) > MOST_KEPT or self._bytes > MOST_KEPT_BYTES:
            self._forget(min(self._kept))

    def since(self, after: str, device: Device) -> Iterator[PushEvent]:
        """Yield what is kept for a device and newer than what it had last, in order; nothing for an empty `after`."""
        if not after:
            return
        now = self._clock.now()
        for message_id in sorted(self._kept):
            kept = self._kept[message_id]
            if message_id > after and kept.expires_at > now and reaches(kept.target, device):
                yield kept.event

    def _forget(self, message_id: str) -> None:
        kept = self._kept.pop(message_id)
        self._bytes -= len(kept.event.data)
        if kept.collapse_key is not None and self._newest.get((kept.target, kept.collapse_key)) == message_id:
            del self._newest[kept.target, kept.collapse_key]


class Remembered:
    """The messages of the last hour by key, so that one that is sent again has no effect and the same answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, str, Taken]] = {}

    def find(self, handed: HandedMessage) -> Taken | None:
        """Return what became of the message when it came first. Raises Conflict when it was another message."""
        found = self._seen.get(handed.key)
        if found is None or found[0] <= self._clock.monotonic():
            return None
        _, digest, taken = found
        if digest != handed.digest:
            raise Conflict("This Idempotency-Key was used with another message; use a new key for a new message.")
        return taken

    def add(self, handed: HandedMessage, taken: Taken) -> None:
        """Remember a message; the oldest is forgotten when there are too many."""
        self._seen.pop(handed.key, None)
        self._seen[handed.key] = (self._clock.monotonic() + REMEMBERED_SECONDS, handed.digest, taken)
        if len(self._seen) > MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]
