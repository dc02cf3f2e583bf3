"""Devices that listen by WebSocket (RFC 6455): televisions, phones, scripts. Framing by wsproto, on a raw tunnel, without a task.

GET /v1/push?device=...&after=...      as for an event stream (events.py)
    -> {"type": "hello", "data": {"device", "after", "ping_seconds"}}, then an event each (push_event.py)
    <- {"type": "ping"} is answered by {"type": "pong"}, for clients that cannot send ping frames; other texts have no effect

    1000   the client closes            1002, 1007  what it sent is no WebSocket         1003  a binary message
    1008   the session has ended, or it sends too much                                    1009  a message over 4 KB
    1012   come again, when `reconnect` has said
    4001   the same device has connected again

What a client may send in one turn (15 s) is bounded in messages and bytes. Compression is not spoken.
"""

from typing import ClassVar

import msgspec
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from kinema.core import problem
from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Unauthenticated
from kinema.core.ids import new_id
from kinema.http import Tunnel
from kinema.model.members import Who
from kinema.model.push import Transport
from kinema.services.gateway.events import Wanted
from kinema.services.gateway.handshake import PROTOCOL, UpgradeRequired, accept_token
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.push import Push
from kinema.services.gateway.push_event import PushEvent, event_of
from kinema.services.gateway.push_registry import TURNS, Device

LARGEST_MESSAGE = 4_096  # bytes
MOST_A_TURN = 60  # messages and pings
MOST_BYTES_A_TURN = 64 * 1024
REPLACED = 4001

# What an answer 426 must say (RFC 9110, 15.5.22; RFC 6455, 4.4).
_REQUIRED = [
    (b"content-type", problem.MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store"),
    (b"upgrade", PROTOCOL),
    (b"sec-websocket-version", b"13"),
]
_PING = b"\x89\x00"
_PONG = event_of("pong", {})


class _Said(msgspec.Struct, frozen=True):
    type: str = ""


class SocketDevice(Device):
    """One open WebSocket."""

    __slots__ = ("_bytes", "_heard", "_messages", "_protocol", "_push", "_size", "_text", "_tunnel")

    transport: ClassVar[Transport] = "websocket"

    def __init__(self, tunnel: Tunnel, push: Push, who: Who, device: str, secret: bytes) -> None:
        super().__init__(who, device, secret)
        self._tunnel = tunnel
        self._push = push
        self._protocol = Connection(ConnectionType.SERVER)
        self._heard = True
        self._messages = self._bytes = self._size = 0
        self._text = ""
        tunnel.on_data = self._data
        tunnel.on_close = self._gone

    # -- towards the device ------------------------------------------------------------------------------------------

    def send(self, event: PushEvent) -> bool:
        """Write an event; False: it still has not read the last ones."""
        if self._tunnel.write_paused or self._tunnel.closing:
            return False
        self._tunnel.write(event.frame)
        return True

    def ping(self) -> bool:
        """Ask for a sign of life; False: it gave none since the last time, or does not read."""
        heard, self._heard = self._heard, False
        self._messages = self._bytes = 0
        if not heard or self._tunnel.write_paused:
            return False
        self._tunnel.write(_PING)
        return True

    def part(self, after_ms: int) -> None:
        """Ask the device to come again, and close."""
        self.send(event_of("reconnect", {"after_ms": after_ms}))
        self.close(CloseReason.SERVICE_RESTART, "come again")

    def cut(self, *, unwanted: bool) -> None:
        """End the connection at once, with a word to whoever may not stay."""
        if unwanted:
            self.close(CloseReason.POLICY_VIOLATION, "the session has ended")
        else:
            self._tunnel.on_close = None
            self._tunnel.abort()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and end our direction; the device has a moment to answer (TunnelLimits.ended_seconds)."""
        self._push.leave(self)
        self._tunnel.on_data = self._tunnel.on_close = None
        self._tunnel.on_eof = self._tunnel.close
        try:
            self._tunnel.write(self._protocol.send(CloseConnection(code=code, reason=reason)))
        except LocalProtocolError:
            self._tunnel.close()  # it was closed already
            return
        self._tunnel.write_eof()

    # -- from the device ---------------------------------------------------------------------------------------------

    def _data(self, data: bytes) -> None:
        self._heard = True
        self._bytes += len(data)
        if self._bytes > MOST_BYTES_A_TURN:
            self.close(CloseReason.POLICY_VIOLATION, "too much is sent")
            return
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._event(event)
                if self._tunnel.on_data is None:
                    return  # it was closed
        except RemoteProtocolError as error:
            hint = error.event_hint
            code = hint.code if isinstance(hint, CloseConnection) else CloseReason.PROTOCOL_ERROR
            self.close(code, str(error)[:100])

    def _event(self, event: object) -> None:
        if isinstance(event, Pong):
            return
        if isinstance(event, CloseConnection):
            self._push.leave(self)
            self._tunnel.on_data = None
            self._tunnel.write(self._protocol.send(event.response()))
            self._tunnel.close()
        elif isinstance(event, BytesMessage):
            self.close(CloseReason.UNSUPPORTED_DATA, "only texts are understood")
        elif isinstance(event, TextMessage):
            self._size += len(event.data)
            if self._size > LARGEST_MESSAGE:
                self.close(CloseReason.MESSAGE_TOO_BIG, f"a message has at most {LARGEST_MESSAGE} bytes")
                return
            self._text += event.data
            if event.message_finished:
                text, self._text, self._size = self._text, "", 0
                self._counted(text)
        elif isinstance(event, Ping) and self._may_say_more():
            self._tunnel.write(self._protocol.send(event.response()))

    def _counted(self, text: str) -> None:
        if self._may_say_more() and _type_of(text) == "ping":
            self.send(_PONG)

    def _may_say_more(self) -> bool:
        self._messages += 1
        if self._messages > MOST_A_TURN:
            self.close(CloseReason.POLICY_VIOLATION, "too many messages")
            return False
        return True

    def _gone(self) -> None:
        self._push.leave(self)


class Sockets:
    """The endpoint that takes WebSockets in."""

    def __init__(self, push: Push, clock: Clock) -> None:
        self._push = push
        self._clock = clock

    def __call__(self, passage: Passage) -> None:
        """Endpoint: open a WebSocket."""
        session, exchange = passage.session, passage.exchange
        if session is None:
            raise Unauthenticated("Sign in to listen to messages.")
        try:
            token = accept_token(exchange)
        except UpgradeRequired as error:
            document = problem.problem_of(error, instance=passage.path)
            passage.reply(error.status, _REQUIRED, problem.encode(document))
            return
        wanted = Wanted.of(exchange.query)
        if not wanted.device:
            raise BadInput("A device says who it is: /v1/push?device=... with an id that it keeps.")
        # The same device again: what it had before is most likely dead, and counts for no limit.
        for before in self._push.registry.with_id(session.who.account, wanted.device):
            if isinstance(before, SocketDevice):
                before.close(REPLACED, "connected again")
        self._push.admit(session.who, "websocket")
        tunnel = passage.upgrade([(b"sec-websocket-accept", token)], PROTOCOL)
        device = SocketDevice(tunnel, self._push, session.who, wanted.device, passage.reading.secret)
        mark = wanted.after or new_id("msg", self._clock)
        device.send(event_of("hello", {"device": wanted.device, "after": mark, "ping_seconds": TURNS}))
        self._push.join(device, wanted.after)


def _type_of(text: str) -> str:
    try:
        return msgspec.json.decode(text, type=_Said).type
    except (msgspec.DecodeError, RecursionError):
        return ""
