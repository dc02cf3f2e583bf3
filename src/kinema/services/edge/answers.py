"""The heads of an edge's answers, encoded once for each track and sent many times.

Every answer may be read by a page of another origin (the player's page is the gateway's), errors included: a player that
cannot see a 403 cannot renew its token. What is served never changes, so caches may keep it, but its address carries
one viewer's token, so only that viewer's may.
"""

from typing import NamedTuple

from kinema.core import problem
from kinema.core.errors import KinemaError
from kinema.http import Exchange, Fields, Head, encode_head
from kinema.model.encoding import Track
from kinema.services.edge.requests import parse_range
from kinema.services.edge.slices import Cut, Slice

_SPANS = 4096  # ranges remembered for each track; about 700 bytes each

_OPEN: Fields = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"content-length, content-range, cache-status, etag"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"timing-allow-origin", b"*"),
)
_PREFLIGHT: Fields = (
    *_OPEN,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"range, if-range, if-match, if-none-match"),
    (b"access-control-max-age", b"86400"),
    (b"allow", b"GET, HEAD, OPTIONS"),
)


class Span(NamedTuple):
    """A part of a track that was asked for: its first byte, the byte behind it, the slice it begins in, the head of a hit."""

    start: int
    end: int
    piece: Slice
    head: Head


class TrackAnswers:
    """A track as it is served: how it is cut, and the heads of its answers. `name` is the edge's in Cache-Status (RFC 9211)."""

    __slots__ = ("_fields", "_name", "_partial_hit", "_spans", "cut", "etag", "whole")

    def __init__(self, track: Track, name: str) -> None:
        self.cut = Cut(track)
        self.etag = b'"%b"' % track.digest.encode()
        self._name = name.encode()
        self._fields = (
            (b"content-type", track.media_type.encode()),
            (b"etag", self.etag),
            (b"accept-ranges", b"bytes"),
            (b"cache-control", b"private, max-age=86400, immutable"),
            *_OPEN,
        )
        self.whole = Span(0, track.size, self.cut.at(0), encode_head(200, self.fields(b"hit")))
        self._partial_hit = encode_head(206, self.fields(b"hit")).block
        self._spans: dict[bytes, Span] = {}

    def fields(self, cached: bytes) -> Fields:
        """The fields of an answer, with what the cache did for it."""
        return (*self._fields, (b"cache-status", b"%b; %b" % (self._name, cached)))

    def span(self, wanted: bytes) -> Span:
        """What a Range field asks for: `whole` when it is to be ignored. Raises RangeNotSatisfiable.

        All viewers of a film ask for the same segments, so what was worked out once is kept.
        """
        known = self._spans.get(wanted)
        if known is None:
            found = parse_range(wanted, self.cut.size)
            if found is None:
                return self.whole
            if len(self._spans) >= _SPANS:
                self._spans.clear()
            known = self._spans[wanted] = Span(*found, self.cut.at(found[0]), self._partial(*found))
        return known

    def _partial(self, start: int, end: int) -> Head:
        # Digits only are added to a head that was checked, so it is not encoded (and checked) anew.
        return Head(206, b"%bcontent-range: bytes %d-%d/%d\r\n" % (self._partial_hit, start, end - 1, self.cut.size))


def refuse(exchange: Exchange, error: KinemaError, fields: Fields = ()) -> None:
    """Answer with an error as problem+json that a page of another origin may read."""
    document = problem.problem_of(error)
    kind = (b"content-type", problem.MEDIA_TYPE.encode())
    body = problem.encode(document)
    exchange.reply(document.status, (kind, (b"cache-control", b"no-store"), *_OPEN, *fields), body)


def allow(exchange: Exchange) -> None:
    """Answer a browser that asks whether it may ask (CORS preflight)."""
    exchange.reply(204, _PREFLIGHT)
