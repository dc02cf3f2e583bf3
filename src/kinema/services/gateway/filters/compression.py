"""Answers are compressed as the client likes them best: text and JSON above a size, whole ones and streamed ones.

left as it is     what is compressed already, too small or of another type; ranges, 204 and 304; `no-transform`; digests of a body
always            Vary: Accept-Encoding, where another client would get another form
ETag              made weak: the forms are equivalent, not the same bytes. If-Match with such a tag is made strong again (reading.py)
HEAD              as the uncompressed answer, with Vary
members           never: an attacker who can put text beside a secret could measure it (the BREACH attack)

Up to 64 KB are compressed on the spot (at most 1.5 ms), and remembered for the next who gets the same body; larger bodies in a
thread; streamed ones piece by piece. A streamed answer of unknown length is flushed with each piece, as its reader waits for it.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.services.gateway.answer import Answer
from kinema.services.gateway.encodings import Choice, choose, compress, compressor
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_VARY = encode_fields(((b"vary", b"accept-encoding"),))
_UNTOUCHED = frozenset(
    (b"content-encoding", b"content-range", b"content-digest", b"repr-digest", b"digest", b"content-md5")
)
_TYPES = frozenset(
    (
        b"application/json",
        b"application/javascript",
        b"application/xml",
        b"application/wasm",
        b"application/manifest+json",
        b"application/vnd.apple.mpegurl",
        b"application/x-mpegurl",
        b"image/svg+xml",
        b"font/ttf",
        b"font/otf",
    )
)
_AT_ONCE_BYTES = 64 * 1024
_KEPT_BYTES = 8 * 1024 * 1024
_MOST_REMEMBERED = 1024


class Compression:
    """Negotiates the content coding of services' answers."""

    order: ClassVar[int] = 80
    section: ClassVar[str] = "compression"
    deadline_seconds: ClassVar[float] = 30.0  # a large body in a thread, on a busy machine

    def __init__(self, parts: "Parts") -> None:
        self._codings = parts.config.compression.codings
        self._smallest = parts.config.compression.smallest_bytes
        self._choices: dict[bytes | None, Choice] = {}
        self._types: dict[bytes, bool] = {}
        self._kept: dict[tuple[str, bytes], bytes] = {}
        self._kept_bytes = 0

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """What services answer, but members; the pages are compressed when they are read."""
        del opened
        return bool(self._codings) and route.endpoint == "proxy" and route.service != "members"

    def apply(self, passage: Passage, answer: Answer) -> Awaitable[None] | None:
        """Compress if client, type, size and service allow it."""
        accept = passage.exchange.headers.get(b"accept-encoding")
        choice = self._choices.get(accept) or self._choice(accept)
        length = answer.length
        if length is not None and length < self._smallest and not (choice.forced and length):
            return None
        kind = answer.get(b"content-type")
        compressible = kind is not None and self._compressible(kind)
        if not (compressible or choice.forced) or answer.status in {204, 206, 304} or answer.status < 200:
            return None
        if any(answer.get(name) is not None for name in _UNTOUCHED) or _no_transform(answer):
            return None
        answer.lines.append(_VARY)
        if not choice.coding or passage.exchange.method == "HEAD":
            return None
        body = answer.body
        if body is None:
            # Where pieces come one by one and nobody knows how many, the reader waits for each of them.
            answer.through(compressor(choice.coding, flush=length is None))
            answer.length = None
            _mark(answer, choice.coding)
            return None
        if len(body) > _AT_ONCE_BYTES:
            return self._in_thread(answer, choice, bytes(body))
        self._take(answer, choice, self._compressed(choice.coding, bytes(body)))
        return None

    async def _in_thread(self, answer: Answer, choice: Choice, body: bytes) -> None:
        self._take(answer, choice, await asyncio.to_thread(compress, choice.coding, body))

    def _take(self, answer: Answer, choice: Choice, packed: bytes) -> None:
        if answer.body is not None and (len(packed) < len(answer.body) or choice.forced):
            answer.body = packed
            answer.length = len(packed)
            _mark(answer, choice.coding)

    def _compressed(self, coding: str, body: bytes) -> bytes:
        """Compress, or remember: catalogue pages are the same for many."""
        key = (coding, body)
        packed = self._kept.get(key)
        if packed is None:
            packed = compress(coding, body)
            self._kept_bytes += len(body) + len(packed)
            self._kept[key] = packed
            while self._kept_bytes > _KEPT_BYTES:
                oldest = next(iter(self._kept))
                self._kept_bytes -= len(oldest[1]) + len(self._kept.pop(oldest))
        return packed

    def _choice(self, accept: bytes | None) -> Choice:
        if len(self._choices) >= _MOST_REMEMBERED:
            self._choices.clear()
        choice = self._choices[accept] = choose(accept, self._codings)
        return choice

    def _compressible(self, kind: bytes) -> bool:
        known = self._types.get(kind)
        if known is None:
            name = kind.partition(b";")[0].strip().lower()
            known = name in _TYPES or name.endswith((b"+json", b"+xml"))
            known = known or (name.startswith(b"text/") and name != b"text/event-stream")
            if len(self._types) >= _MOST_REMEMBERED:
                self._types.clear()
            self._types[kind] = known
        return known


def _no_transform(answer: Answer) -> bool:
    control = answer.get(b"cache-control")
    return control is not None and any(b"no-transform" in one.lower() for one in answer.get_all(b"cache-control"))


def _mark(answer: Answer, coding: str) -> None:
    answer.set(b"content-encoding", coding.encode())
    answer.remove(b"accept-ranges")  # a range would be one of other bytes
    etag = answer.get(b"etag")
    if etag is not None and etag[:1] == b'"':
        answer.set(b"etag", b"W/" + etag)
