"""Header blocks that were parsed before: a player sends the same fields with every request, all but the Range.

    the connection's last head again, but for the Range?    nothing to look up
    else cut the head: request line, `Range: bytes=...`, block of the other fields
    line and block seen before?                             its parsed fields, plus this Range, are the request's fields
    else                                                    llhttp parses the head, and the block is remembered

Only whole heads are recognised that came in one piece, alone, as GET or HEAD of HTTP/1.1 with a path as target. A block
is remembered only after llhttp and our own checks took it, byte for byte, and if it asks for nothing but a plain answer:
no body, no Upgrade, no Connection option but keep-alive (which browsers send). So recognising saves work (about half of parsing) and changes no verdict; a test
compares both ways on arbitrary bytes. The tables are emptied when they are full: a flood of new blocks costs what parsing costs.
"""

from kinema.http.headers import Headers, RangedHeaders
from kinema.http.limits import Limits

_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}
_RANGE = b"\r\nRange: bytes="
_UNIT = len(b"bytes=")
_RANGE_BYTES = b"bytes=0123456789-"  # more than a Range is made of, but nothing that could end a field
_SPECIAL = (b"content-length", b"expect", b"transfer-encoding", b"upgrade")

MOST_BLOCKS = 4096
LARGEST_HEAD = 4096  # bytes


class KnownHead:
    """A head that was recognised, cut around the value of its Range; `after` is empty when it has none."""

    __slots__ = ("_after", "_before", "_fields", "_largest", "_skip", "method", "target")

    def __init__(self, before: bytes, after: bytes, start: tuple[str, str], fields: Headers, largest: int) -> None:
        self._before = before
        self._after = after
        self._skip = len(before) - _UNIT
        self._fields = fields
        self._largest = largest
        self.method, self.target = start

    def fields(self, data: bytes) -> Headers | None:
        """The fields of a head that differs from this one in the Range alone, or in nothing; None for any other."""
        after = self._after
        if not after:
            return self._fields if data == self._before else None
        if data.startswith(self._before) and data.endswith(after) and len(data) <= self._largest:
            wanted = data[self._skip : -len(after)]
            if len(wanted) > _UNIT and not wanted.translate(None, _RANGE_BYTES):
                return RangedHeaders(self._fields, wanted)
        return None


class KnownBlocks:
    """The request lines and header blocks that one server has seen; at most 16 MB each."""

    __slots__ = ("_blocks", "_largest", "_limits", "_lines")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._largest = min(LARGEST_HEAD, limits.head_bytes)
        self._blocks: dict[bytes, Headers] = {}
        self._lines: dict[bytes, tuple[str, str]] = {}

    def recall(self, data: bytes) -> KnownHead | None:
        """Recognise a head whose block is known; None: parse it."""
        if len(data) > self._largest:
            return None
        before, mark, after = data.partition(_RANGE)
        cut = before.find(b"\r\n")
        if cut < 0:  # the Range is the first field
            cut = len(before)
        line, block = before[:cut], before[cut:]
        if mark:
            value, end, rest = after.partition(b"\r\n")
            if not rest or not value or value.translate(None, _RANGE_BYTES):
                return None  # without a rest, the head ended before the Range, which is the beginning of the next
            before, block, after = before + mark, block + end + rest, end + rest
        fields = self._blocks.get(block)
        if fields is None:
            return None
        start = self._lines.get(line) or self._read_line(line)
        return None if start is None else KnownHead(before, after, start, fields, self._largest)

    def _read_line(self, line: bytes) -> tuple[str, str] | None:
        """Return method and target of a request line that is plain, and keep it: a film is asked for by one line."""
        parts = line.split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1":
            return None
        method = _METHODS.get(parts[0])
        try:
            target = parts[1].decode("ascii")
        except UnicodeDecodeError:
            return None
        if (
            method is None
            or target[:1] != "/"
            or "#" in target
            or not target.isprintable()
            or len(target) > self._limits.target_bytes
        ):
            return None
        if len(self._lines) >= MOST_BLOCKS:
            self._lines.clear()
        self._lines[line] = method, target
        return method, target

    def remember(self, data: bytes, headers: Headers) -> None:
        """Keep the block of a head that was parsed and found good, if it is one that may be recognised."""
        if len(data) > self._largest or data.find(b"\r\n\r\n") != len(data) - 4 or headers.more:
            return
        if len(headers) >= self._limits.header_count:
            return  # with a Range, it may have one field too many
        if any(name in headers for name in _SPECIAL) or headers.get(b"connection") not in {None, b"keep-alive"}:
            return
        cut = data.find(b"\r\n")
        if not cut:
            return  # an empty line went before the request line, which is then inside what looks like the block
        block = data[cut:]
        before, mark, after = block.partition(_RANGE)
        if mark:
            block = b"%b\r\n%b" % (before, after.partition(b"\r\n")[2])
            headers = headers.without(b"range")
        elif b"range" in headers:
            return  # spelt differently: a second one, cut out later, would hide it
        if len(self._blocks) >= MOST_BLOCKS:
            self._blocks.clear()
        self._blocks[block] = headers
