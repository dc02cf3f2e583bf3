"""Header fields as HTTP/1.1 sends them: bytes, names in lower case, and what a proxy may pass on (RFC 9110, 7.6.1)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

Fields = Sequence[tuple[bytes, bytes]]

# Fields that speak of one connection only, and the framing that each side decides for itself.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


# What the side that sends a message decides by itself.
REQUEST_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
RESPONSE_FRAMING = REQUEST_FRAMING | {b"connection"}


def encode_fields(fields: Fields, framing: frozenset[bytes] = REQUEST_FRAMING) -> bytes:
    """Return the lines of some fields, as `Client.send` takes them too: to be encoded once and sent often.

    Names must be lower case. Raises ValueError when a field would break the head apart (CR, LF or NUL inside) or is
    one of the framing.
    """
    # Concatenation and name look-ups: formatting with % and searching the block cost twice and five times as much.
    block = b"".join([name + b": " + value + b"\r\n" for name, value in fields])
    lines = len(fields)
    if block.count(b"\n") != lines or block.count(b"\r") != lines or b"\0" in block:
        raise ValueError(f"A header of a request or response has a line break or a NUL inside: {list(fields)!r}")
    if not framing.isdisjoint([name for name, _ in fields]):
        raise ValueError(
            f"Leave the framing of a request or response ({b', '.join(sorted(framing)).decode()}) to the connection: {list(fields)!r}"
        )
    return block


class Headers:
    """The fields of one message; not changed after it was parsed.

    A dict holds the first value of each name, so that a look-up costs one hash; names that came more than once (rare)
    have their further values in a list beside it. Iterating yields every pair; values of one name keep their order.
    """

    __slots__ = ("_first", "_more", "memo")

    def __init__(self, first: dict[bytes, bytes], more: Fields = ()) -> None:
        self._first = first
        self._more = more
        # Room for what a handler derived from these fields: requests with the same block share one object (known.py).
        self.memo: object = None

    @property
    def base(self) -> "Headers":
        """These fields, or all but the Range when other requests share them: the place of a `memo` that needs no Range."""
        return self

    @property
    def range(self) -> bytes | None:
        """The Range field."""
        return self._first.get(b"range")

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Build from pairs; names are made lower case."""
        first: dict[bytes, bytes] = {}
        more: list[tuple[bytes, bytes]] = []
        for raw_name, value in pairs:
            name = raw_name.lower()
            if name in first:
                more.append((name, value))
            else:
                first[name] = value
        return cls(first, more)

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of this lower-case name, or None."""
        return self._first.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """Return every value of this lower-case name in the order of arrival."""
        if name not in self._first:
            return []
        return [self._first[name], *(value for other, value in self._more if other == name)]

    @property
    def more(self) -> Fields:
        """The values beyond the first of names that came more than once."""
        return self._more

    def without(self, name: bytes) -> "Headers":
        """Return a copy without the fields of this name."""
        return Headers.of(pair for pair in self if pair[0] != name)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        if not self._more:
            return iter(self._first.items())
        return chain(self._first.items(), self._more)

    def __len__(self) -> int:
        return len(self._first) + len(self._more)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and sorted(self) == sorted(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


class RangedHeaders(Headers):
    """Fields that many requests share (`base`, which has no Range) with the Range of one; copied only to look at them all."""

    __slots__ = ("base", "range")

    base: Headers
    range: bytes

    def __init__(self, base: Headers, wanted: bytes) -> None:
        self.base = base
        self.range = wanted
        self.memo = None

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of this lower-case name, or None."""
        return self.range if name == b"range" else self.base.get(name)

    def __getattr__(self, name: str) -> Any:
        # Only what `__init__` left out comes here, and only once.
        if name not in {"_first", "_more"}:
            raise AttributeError(name)
        self._first = dict(self.base)
        self._first[b"range"] = self.range
        self._more = ()
        return getattr(self, name)


def end_to_end(headers: Headers, dropped: frozenset[bytes] = HOP_BY_HOP) -> list[tuple[bytes, bytes]]:
    """Return the fields that a proxy passes on: all but hop-by-hop ones, those that `Connection` names, and framing.

    Content-Length goes too: whoever sends the message on frames it anew (`Exchange.start(length=...)`). `dropped` may have
    more names than the hop-by-hop ones.
    """
    connection = headers.get(b"connection")
    if connection is not None and connection.lower() not in {b"keep-alive", b"close"}:
        named = b",".join(headers.get_all(b"connection")).lower().split(b",")
        dropped |= {name.strip() for name in named}
    return [pair for pair in headers if pair[0] not in dropped]
