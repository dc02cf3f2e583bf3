"""Answers that services allow to be kept are kept, in bounded memory, and given again without asking (rules: caching.py).

Requests that miss the same thing together ask once: the first goes on, the others wait for what it brings. What turned out not
to be kept is remembered for a while, and on a route whose answers are not kept nobody waits for another. A change (PUT, POST, DELETE ... that succeeded) drops what is
kept of its target. Who may see an answer was decided before (authentication); `Cache-Status` says what happened (RFC 9211).
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from kinema.core.etag import matches
from kinema.http import Headers, encode_fields
from kinema.services.gateway.answer import Answer
from kinema.services.gateway.caching import Stored, may_use, refreshed, stored
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route
from kinema.services.gateway.status import StatusCategory

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

Key = tuple[bytes, str]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_IN_VAIN_SECONDS = 10.0
_MOST_IN_VAIN = 10_000
_MOST_VARIANTS = 16
_ERRORS = frozenset({500, 502, 503, 504})
_MISS = encode_fields(((b"cache-status", b"kinema-gateway; fwd=miss; stored"),))


class Store:
    """Kept answers by host and target, at most so many bytes; whoever was used longest ago goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: dict[Key, list[Stored]] = {}
        self.bytes = 0

    def find(self, key: Key, headers: Headers) -> Stored | None:
        """Return the answer for a request with these fields, fresh or not."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        found = next((one for one in kept if one.matches(headers)), None)
        if found is not None:
            del self._kept[key]
            self._kept[key] = kept
        return found

    def put(self, key: Key, one: Stored) -> None:
        """Keep an answer in the place of the one with the same varying fields."""
        kept = self._kept.setdefault(key, [])
        for old in [old for old in kept if old.varying == one.varying]:
            kept.remove(old)
            self.bytes -= old.size
        kept.append(one)
        self.bytes += one.size
        if len(kept) > _MOST_VARIANTS:
            self.bytes -= kept.pop(0).size
        while self.bytes > self._most:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Key) -> None:
        """Forget all that is kept of a target."""
        for old in self._kept.pop(key, ()):
            self.bytes -= old.size


class ResponseCache:
    """Answers from memory where that is allowed, and fills it."""

    order: ClassVar[int] = 65
    section: ClassVar[str] = "cache"

    def __init__(self, parts: "Parts") -> None:
        config = parts.config.cache
        self._parts = parts
        self._on = config.bytes > 0
        self._largest = min(config.largest_bytes, config.bytes)
        self._wait_seconds = config.wait_seconds
        self.deadline_seconds = config.wait_seconds + 1.0
        self._now = parts.clock.monotonic
        self.store = Store(config.bytes)
        self._flights: dict[Key, asyncio.Future[None]] = {}
        self._in_vain: dict[Key, float] = {}
        self._worth: dict[
            str, bool
        ] = {}  # whether the last answer on a route could be kept: else nobody waits for others

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """What services answer, but members and uploads: nothing of these is for everybody. Each WebSocket is its own.

        Where a canary is tried, everybody is asked: what one version answered must not be given to those of the other.
        """
        del opened
        shared = route.service != "members" and not route.streaming and not route.websocket
        tried = any(rule.prefix == route.prefix for rule in self._parts.config.canary)
        return self._on and route.endpoint == "proxy" and shared and not tried

    def apply(self, passage: Passage) -> Awaitable[bool | None] | bool | None:
        """Answer from memory, wait for who asks already, or go on and keep what comes."""
        exchange = passage.exchange
        key = (passage.host, exchange.target)
        if exchange.method != "GET":
            if exchange.method not in _SAFE:
                passage.on_answer = partial(self._changed, key)
            return None
        until = self._in_vain.get(key)
        if until is not None and self._now() < until:
            return None
        headers = exchange.headers
        if exchange.has_body or not may_use(headers):
            return None
        kept = self.store.find(key, headers)
        if kept is not None and self._now() < kept.fresh_until:
            self._give(passage, kept)
            return True
        flight = self._flights.get(key)
        if flight is not None and self._worth.get(passage.lane.route.prefix, True):
            return self._after(flight, passage, key)
        self._ask(passage, key, kept)
        return None

    # -- inside ------------------------------------------------------------------------------------------------------

    def _give(self, passage: Passage, kept: Stored) -> None:
        passage.category = StatusCategory.SUCCESS_NOT_FOUND if kept.status == 404 else StatusCategory.SUCCESS
        left = int(kept.fresh_until - self._now())
        passage.lines.append(
            b"age: %d\r\ncache-status: kinema-gateway; hit; ttl=%d\r\n" % (self._now() - kept.born, left)
        )
        if kept.status == 200 and _held_by(passage.exchange.headers, kept):
            passage.reply(304, kept.fields)
        else:
            passage.reply(kept.status, kept.fields, kept.body)

    async def _after(self, flight: asyncio.Future[None], passage: Passage, key: Key) -> bool | None:
        """Wait for another request's answer; when it is none for us, go on alone."""
        done, _ = await asyncio.wait({flight}, timeout=self._wait_seconds)
        if not done:
            self._landed(key, flight)  # whoever comes now asks anew
        kept = self.store.find(key, passage.exchange.headers)
        if kept is not None and self._now() < kept.fresh_until:
            self._give(passage, kept)
            return True
        return None

    def _ask(self, passage: Passage, key: Key, kept: Stored | None) -> None:
        """Go on as the one who asks, with a condition where there is something to confirm."""
        flight = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        conditional = b"if-none-match" in passage.exchange.headers or b"if-modified-since" in passage.exchange.headers
        confirming = kept is not None and kept.etag is not None and not conditional
        if confirming and kept is not None and kept.etag is not None:
            passage.outgoing.append(encode_fields(((b"if-none-match", kept.etag),)))
        passage.on_answer = partial(self._answered, passage, key, kept, confirming, partial(self._landed, key, flight))

    def _landed(self, key: Key, flight: asyncio.Future[None]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.done():
            flight.set_result(None)

    def _answered(
        self,
        passage: Passage,
        key: Key,
        kept: Stored | None,
        confirming: bool,
        landed: Callable[[], None],
        answer: Answer | None,
    ) -> None:
        headers, signed_in = passage.exchange.headers, passage.session is not None
        now = self._now()
        if answer is None:
            landed()
            return
        if kept is not None and answer.status in _ERRORS and now < kept.usable_until:
            _replace(answer, kept)
            answer.lines.append(
                b"age: %d\r\ncache-status: kinema-gateway; fwd=stale; stored=?0\r\n" % (now - kept.born)
            )
            passage.category = StatusCategory.SUCCESS
            landed()
            return
        if kept is not None and answer.status == 304 and confirming:
            again = refreshed(kept, answer, headers, now, signed_in=signed_in)
            self.store.drop(key)
            if again is not None:
                self.store.put(key, again)
            _replace(answer, again or kept)
            passage.category = StatusCategory.SUCCESS
            landed()
            return
        self._worth[passage.lane.route.prefix] = self._keep(key, answer, headers, now, signed_in, landed)

    def _keep(
        self, key: Key, answer: Answer, headers: Headers, now: float, signed_in: bool, landed: Callable[[], None]
    ) -> bool:
        """Keep an answer once it is whole, if it may be kept."""
        if stored(answer, b"", headers, now, signed_in=signed_in) is None or (answer.length or 0) > self._largest:
            if answer.status < 500 and answer.status != 304:
                if len(self._in_vain) >= _MOST_IN_VAIN:
                    self._in_vain.clear()
                self._in_vain[key] = now + _IN_VAIN_SECONDS
            landed()
            return False
        self._in_vain.pop(key, None)

        # What is kept is the answer as it came: filters that come later change it for this client only.
        untouched = Answer(answer.status, list(answer.fields), None, answer.length, [])

        def put(body: bytes) -> None:
            one = stored(untouched, body, headers, now, signed_in=signed_in)
            if one is not None and one.size <= self._largest + 4096:
                self.store.put(key, one)
            landed()

        answer.lines.append(_MISS)
        if answer.body is not None:
            put(bytes(answer.body))
        else:
            answer.through(_Gathering(self._largest, put, landed))
        return True

    def _changed(self, key: Key, answer: Answer | None) -> None:
        if answer is None or answer.status < 400:
            self.store.drop(key)


class _Gathering:
    """Lets a streamed body through and keeps a copy, unless it gets too large."""

    def __init__(self, most: int, done: Callable[[bytes], None], given_up: Callable[[], None]) -> None:
        self._most = most
        self._done = done
        self._given_up = given_up
        self._pieces: list[bytes] | None = []
        self._size = 0

    def data(self, piece: bytes) -> bytes:
        """Look at a piece."""
        if self._pieces is not None:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > self._most:
                self._pieces = None
                self._given_up()
        return piece

    def end(self) -> bytes:
        """The body is whole."""
        if self._pieces is not None:
            self._done(b"".join(self._pieces))
        return b""


def _replace(answer: Answer, kept: Stored) -> None:
    answer.status, answer.fields = kept.status, list(kept.fields)
    answer.body, answer.length = kept.body, len(kept.body)


def _held_by(headers: Headers, kept: Stored) -> bool:
    """Whether the client has these bytes already."""
    held = headers.get(b"if-none-match")
    if held is None or kept.etag is None:
        return False
    return matches(held.decode("latin-1"), kept.etag.decode("latin-1").removeprefix("W/").strip('"'))
