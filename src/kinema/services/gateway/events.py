"""The event stream of a browser: server-sent events (HTML, 9.2) from this gateway's registry of devices.

GET /v1/events                  what the region tells (push_poll.py), and what is pushed to the account's devices (push.py)
    ?device=...                 the id that the device has given itself, for messages to it alone
    ?after=..., Last-Event-ID   what it had last; it gets what was kept since
every 15 s                      a comment keeps the connection; whoever's session has ended is cut off
a slow client                   is dropped when its buffer is full; its browser connects again and gets the present state
"""

from typing import ClassVar
from urllib.parse import parse_qsl

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Unauthenticated
from kinema.core.ids import check_id, new_id
from kinema.http import Exchange
from kinema.model.members import Who
from kinema.model.push import DeviceId, Transport
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.push import Push
from kinema.services.gateway.push_event import PushEvent, event_of
from kinema.services.gateway.push_mailbox import EVERYTHING
from kinema.services.gateway.push_registry import Device

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # proxies in front must not gather
]
_PING = b": ping\n\n"


class StreamDevice(Device):
    """One open stream."""

    __slots__ = ("_passage", "_paused", "_push")

    transport: ClassVar[Transport] = "sse"

    def __init__(self, passage: Passage, push: Push, who: Who, device: str) -> None:
        super().__init__(who, device, passage.reading.secret)
        self._passage = passage
        self._push = push
        self._paused = False
        passage.exchange.on_disconnect = self._gone
        passage.start(200, _HEADERS, None, self._takes)

    def write(self, block: bytes) -> bool:
        """Write to the stream; False: it has ended, or what was written before has not been read."""
        if self._paused or self._passage.exchange.finished:
            return False
        self._paused = not self._passage.write(block)
        return True

    def send(self, event: PushEvent) -> bool:
        """Write an event; False: it still has not read the last ones."""
        return self.write(event.block)

    def ping(self) -> bool:
        """Write a comment."""
        return self.write(_PING)

    def part(self, after_ms: int) -> None:
        """Ask the browser to come again, and end the stream."""
        self._passage.exchange.on_disconnect = None
        event = event_of("reconnect", {"after_ms": after_ms})
        self._passage.write(b"retry: %d\n%b" % (after_ms, event.block))
        self._passage.finish()

    def cut(self, *, unwanted: bool) -> None:
        """Break the connection off."""
        del unwanted
        self._passage.exchange.on_disconnect = None
        self._passage.exchange.abort()

    def _gone(self) -> None:
        self._push.leave(self)

    def _takes(self) -> None:
        self._paused = False


class Events:
    """The endpoint that opens streams."""

    def __init__(self, push: Push, clock: Clock) -> None:
        self._push = push
        self._clock = clock

    def __call__(self, passage: Passage) -> None:
        """Endpoint: open a stream."""
        session, exchange = passage.session, passage.exchange
        if session is None:
            raise Unauthenticated("Sign in to listen to events.")
        wanted = Wanted.of(exchange.query)
        self._push.admit(session.who, "sse")
        if exchange.method == "HEAD":
            passage.start(200, _HEADERS, None)
            passage.finish()
            return
        after = _last_event(exchange) or wanted.after  # EventSource repeats the address that it was opened with
        exchange.close_after_this()  # so that the next connection may lead to another gateway
        device = StreamDevice(passage, self._push, session.who, wanted.device)
        # Who brings no mark gets one: EventSource sends it along when it comes back.
        mark = b"" if after else b"id: %b\n" % new_id("msg", self._clock).encode()
        device.write(b"retry: %d\n%b\n" % (self._push.retry_ms(), mark))
        self._push.join(device, after)


class Wanted(msgspec.Struct, frozen=True):
    """What a device says of itself when it connects: an id, and the message that it had last (0: nothing, and it wants all)."""

    device: str = ""
    after: str = ""

    @classmethod
    def of(cls, query: str) -> "Wanted":
        """Read a query. Raises BadInput for a device id or mark that cannot be."""
        try:
            given = dict(parse_qsl(query, max_num_fields=20, strict_parsing=bool(query)))
        except ValueError as error:
            raise BadInput("The query cannot be read; write ?device=...&after=...") from error
        device, after = given.get("device", ""), given.get("after", "")
        try:
            if device:
                msgspec.convert(device, DeviceId)
        except msgspec.ValidationError as error:
            raise BadInput(
                f"{device[:80]!r} is no id of a device; take 8 to 64 letters, digits and . _ ~ - (a UUID serves well)."
            ) from error
        return cls(device, after if after in {"", EVERYTHING} else check_id(after, "msg"))


def _last_event(exchange: Exchange) -> str:
    """Return the id that EventSource brings along when it comes back; another one than ours counts for nothing."""
    raw = exchange.headers.get(b"last-event-id") or b""
    try:
        return check_id(raw.decode("ascii"), "msg")
    except (BadInput, UnicodeDecodeError):
        return ""
