"""Header blocks that were parsed before: a player sends the same fields with every request, all but the Range.

    line, block = head cut at its first CRLF
    cut `Range: bytes=...` out of the block; was the line seen before, it need not be read again
    block seen before?  its parsed fields, plus this Range, are the request's fields
    else                llhttp parses the head, and the block is remembered if nothing about it is special

Only whole heads are recognised that came in one piece, alone, as GET or HEAD of HTTP/1.1 with a path as target. A block
is remembered only after llhttp and our own checks took it, byte for byte, and if it asks for nothing but a plain answer:
no body, no Upgrade, no Connection option but keep-alive (which browsers send). So recognising saves work (about half of parsing) and changes no verdict; a test
compares both ways on arbitrary bytes. The table is emptied when it is full: a flood of new blocks costs what parsing costs.
"""

from kinema.http.headers import Headers

_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}
_RANGE = b"\r\nRange: bytes="
_RANGE_BYTES = b"0123456789-"
_SPECIAL = (b"content-length", b"expect", b"transfer-encoding", b"upgrade")

MOST_BLOCKS = 4096
LARGEST_BLOCK = 4096  # bytes


class KnownBlocks:
    """The request lines and header blocks that one server has seen; at most 16 MB each."""

    __slots__ = ("_blocks", "_lines", "_longest")

    def __init__(self, longest_target: int) -> None:
        self._longest = longest_target
        self._blocks: dict[bytes, Headers] = {}
        self._lines: dict[bytes, tuple[str, str]] = {}

    def recall(self, data: bytes) -> tuple[str, str, Headers] | None:
        """Return method, target and fields of a head whose block is known; None: parse it."""
        before, mark, after = data.partition(_RANGE)
        cut = before.find(b"\r\n")
        if mark:
            if cut < 0:  # the Range is the first field
                cut = len(before)
            value, _, after = after.partition(b"\r\n")
            known = self._blocks.get(b"%b\r\n%b" % (before[cut:], after))
            if known is None or value.translate(None, _RANGE_BYTES):
                return None
            headers = known.extended(b"range", b"bytes=" + value)
        else:
            block = self._blocks.get(before[cut:])
            if block is None:
                return None
            headers = block
        line = before[:cut]
        start = self._lines.get(line) or self._read_line(line)
        return None if start is None else (start[0], start[1], headers)

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
            or len(target) > self._longest
        ):
            return None
        if len(self._lines) >= MOST_BLOCKS:
            self._lines.clear()
        self._lines[line] = method, target
        return method, target

    def remember(self, data: bytes, headers: Headers) -> None:
        """Keep the block of a head that was parsed and found good, if it is one that may be recognised."""
        if len(data) > LARGEST_BLOCK or data.find(b"\r\n\r\n") != len(data) - 4 or headers.more:
            return
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
