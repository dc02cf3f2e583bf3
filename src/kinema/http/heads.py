"""Response heads as bytes, encoded once and sent many times.

A `Head` is the status line and the fields without the framing. The connection adds Content-Length (or chunked), the
date of this second and, where needed, Connection, by joining three byte strings.
"""

from email.utils import formatdate
from http import HTTPStatus

from kinema.http.headers import RESPONSE_FRAMING, Fields, encode_fields

Body = bytes | bytearray | memoryview

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


# Up to here, copying a body behind its head costs less than handing two buffers to the kernel (measured, docs).
JOIN_BYTES = 8 * 1024


class Head:
    """An encoded status line with fields; may be kept and sent on any exchange.

    It remembers the length of the last answer that it headed, and itself with that length. `plain`: such an answer may have a body.
    """

    __slots__ = ("block", "dated", "length", "plain", "sized", "status")

    def __init__(self, status: int, block: bytes) -> None:
        self.status = status
        self.block = block
        self.dated = b"\r\ndate: " in block
        self.plain = status not in {204, 304}
        self.length = -1
        self.sized = b""

    def size(self, length: int) -> bytes:
        """Return the head with the Content-Length of an answer with this many bytes of body."""
        self.length = length
        self.sized = b"%bcontent-length: %d\r\n" % (self.block, length)
        return self.sized

    def extended(self, lines: bytes) -> "Head":
        """Return this head with further fields that `encode_fields` has encoded before, none of them the date."""
        if not lines:
            return self
        head = Head.__new__(Head)
        head.status = self.status
        head.block = self.block + lines
        head.dated = self.dated
        head.plain = self.plain
        head.length = self.length
        head.sized = self.sized + lines
        return head


def encode_head(status: int, headers: Fields = (), lines: bytes = b"") -> Head:
    """Encode a response head. Names must be lower case; framing fields are left to the connection.

    `lines` are further fields that `encode_fields` has encoded before. Raises ValueError when a field would break the head apart (CR, LF or NUL inside) or sets the framing itself, and for
    a status that is none.
    """
    line = _STATUS_LINES.get(status) or _status_line(status)
    if not headers:
        return Head(status, line + lines)
    return Head(status, line + encode_fields(headers, RESPONSE_FRAMING) + lines)


def _status_line(status: int) -> bytes:
    if not 100 <= status <= 599:
        raise ValueError(f"An answer cannot have the status {status}; give one from 100 to 599.")
    return b"HTTP/1.1 %d Status\r\n" % status


class Tails:
    """The ends of a head, with the date, made anew once a second: for HTTP/1.1, for HTTP/1.0, and for the last answer."""

    __slots__ = ("close", "close_dated", "keep", "keep_1_0", "keep_1_0_dated", "keep_dated")

    def __init__(self) -> None:
        self.keep_dated = b"\r\n"
        self.close_dated = b"connection: close\r\n\r\n"
        self.keep_1_0_dated = b"connection: keep-alive\r\n\r\n"
        self.renew(0.0)

    def renew(self, now: float) -> None:
        """Write the date of this Unix time."""
        date = f"date: {formatdate(now, usegmt=True)}\r\n".encode()
        self.keep = date + self.keep_dated
        self.close = date + self.close_dated
        self.keep_1_0 = date + self.keep_1_0_dated
