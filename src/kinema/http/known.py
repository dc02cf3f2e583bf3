"""Header blocks that were parsed before: a player sends the same fields with every request, all but the Range.

    line, block = head cut at its first CRLF
    cut `Range: bytes=...` out of the block
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
    """The header blocks that one server has seen; at most 16 MB."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: dict[bytes, Headers] = {}

    def recall(self, data: bytes) -> tuple[str, str, Headers] | None:
        """Return method, target and fields of a head whose block is known; None: parse it."""
        cut = data.find(b"\r\n")
        block = data[cut:]
        headers = self._blocks.get(block)
        if headers is None:
            before, mark, after = block.partition(_RANGE)
            if not mark:
                return None
            value, _, after = after.partition(b"\r\n")
            known = self._blocks.get(b"%b\r\n%b" % (before, after))
            if known is None or value.translate(None, _RANGE_BYTES):
                return None
            headers = known.extended(b"range", b"bytes=" + value)
        parts = data[:cut].split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1":
            return None
        method = _METHODS.get(parts[0])
        try:
            target = parts[1].decode("ascii")
        except UnicodeDecodeError:
            return None
        if method is None or target[:1] != "/" or "#" in target or not target.isprintable():
            return None
        return method, target, headers

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
