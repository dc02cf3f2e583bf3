"""One thing that devices are told, written down once for each transport however many devices there are.

    server-sent events (HTML, 9.2)    id: msg_... / event: title / data: {"title_id": ...}
    WebSocket (RFC 6455), as text     {"id": "msg_...", "type": "title", "data": {"title_id": ...}}

Events of the region itself (`catalog`, `jobs`, `reconnect`, `hello`, `pong`) have no id: whoever missed them gets the present state.
"""

import msgspec
from wsproto.frame_protocol import FrameProtocol

OWN_TYPES = frozenset({"catalog", "jobs", "reconnect", "hello", "pong"})


class _Text(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    data: msgspec.Raw
    id: str = ""


class PushEvent:
    """`data` is JSON without line breaks."""

    __slots__ = ("_block", "_frame", "data", "message_id", "type")

    def __init__(self, type_: str, data: bytes, message_id: str = "") -> None:
        self.type = type_
        self.data = data
        self.message_id = message_id
        self._block = b""
        self._frame = b""

    @property
    def block(self) -> bytes:
        """As a block of an event stream."""
        if not self._block:
            name = b"id: %b\n" % self.message_id.encode() if self.message_id else b""
            self._block = b"%bevent: %b\ndata: %b\n\n" % (name, self.type.encode(), self.data)
        return self._block

    @property
    def frame(self) -> bytes:
        """As a WebSocket frame: a server's are not masked, so it is the same for every device."""
        if not self._frame:
            text = msgspec.json.encode(_Text(self.type, msgspec.Raw(self.data), self.message_id))
            self._frame = bytes(FrameProtocol(client=False, extensions=[]).send_data(text.decode(), fin=True))
        return self._frame


def event_of(type_: str, data: object) -> PushEvent:
    """Return an event of the region itself."""
    return PushEvent(type_, msgspec.json.encode(data))
