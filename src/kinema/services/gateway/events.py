"""The event stream of a browser: a new catalogue version, the state of jobs. Server-sent events (HTML, 9.2).

nobody listens     nothing is asked
somebody listens   one shared poll a second: every catalog instance for its version, encoding for its jobs (for operators)
a change           goes to everybody whom it concerns; a version, when all catalog instances serve it, so that
                   whoever reads the catalogue after the event finds it wherever he asks
every 15 s         a comment keeps the connection; whoever's session has ended is cut off
a slow client      is dropped when its buffer is full; its browser connects again and gets the present state
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, TooMany, Unauthenticated
from kinema.core.log import get_logger
from kinema.model.catalog import CatalogVersion
from kinema.model.encoding import JobPage
from kinema.model.members import Who
from kinema.rpc.client import Rpc
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.sessions import Sessions

_POLL_SECONDS = 1.0
_PING_SECONDS = 15.0
_MOST_CLIENTS = 2_000
_MOST_PER_SESSION = 12

_log = get_logger(__name__)


class _Version(msgspec.Struct, frozen=True):
    version: int


class _Listener:
    """One open stream."""

    __slots__ = ("operator", "passage", "paused", "session")

    def __init__(self, passage: Passage, who: Who) -> None:
        self.passage = passage
        self.session = who.session
        self.operator = who.role == "operator"
        self.paused = False

    def takes(self) -> None:
        self.paused = False


class Events:
    """All event streams of one gateway."""

    def __init__(self, rpc: Rpc, sessions: Sessions, clock: Clock) -> None:
        self._rpc = rpc
        self._sessions = sessions
        self._clock = clock
        self._listeners: set[_Listener] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._catalog = b""  # the last events, for who comes later
        self._jobs = b""
        self._closed = False

    def __call__(self, passage: Passage) -> None:
        """Endpoint: open a stream."""
        session = passage.session
        if session is None:
            raise Unauthenticated("Sign in to listen to events.")
        same = sum(1 for one in self._listeners if one.session == session.who.session)
        if self._closed or len(self._listeners) >= _MOST_CLIENTS or same >= _MOST_PER_SESSION:
            raise TooMany("Too many event streams are open; close some tabs and try again.")
        listener = _Listener(passage, session.who)
        exchange = passage.exchange
        exchange.on_disconnect = lambda: self._listeners.discard(listener)
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        headers.append((b"x-accel-buffering", b"no"))  # proxies in front must not gather
        passage.start(200, headers, None, listener.takes)
        if exchange.method == "HEAD":
            passage.finish()
            return
        passage.write(b"retry: 1000\n\n" + self._catalog + (self._jobs if listener.operator else b""))
        self._listeners.add(listener)
        if not self._tasks:
            self._begin(self._poll())
            self._begin(self._ping())

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    async def close(self) -> None:
        """End every stream; browsers connect again, to another gateway if this one is stopping."""
        self._closed = True
        for listener in tuple(self._listeners):
            listener.passage.exchange.on_disconnect = None
            listener.passage.finish()
        self._listeners.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _poll(self) -> None:
        while self._listeners:
            catalog, jobs = await asyncio.gather(self._ask_catalog(), self._ask_jobs())
            if catalog and catalog != self._catalog:
                self._catalog = catalog
                self._send(catalog, operators_only=False)
            if jobs and jobs != self._jobs:
                self._jobs = jobs
                self._send(jobs, operators_only=True)
            await self._clock.sleep(_POLL_SECONDS)
        self._catalog = self._jobs = b""
        for task in tuple(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        self._tasks.clear()  # at once: who comes before they have ended needs new ones

    async def _ping(self) -> None:
        while True:
            await self._clock.sleep(_PING_SECONDS)
            for listener in tuple(self._listeners):
                try:
                    await self._sessions.verify(listener.passage.reading.secret)
                except Unauthenticated:
                    self._drop(listener)
                except KinemaError as error:
                    _log.info("a session could not be verified", error=str(error))
            self._send(b": ping\n\n", operators_only=False)

    async def _ask_catalog(self) -> bytes:
        """Return the event for the version that all catalog instances serve; nothing while they differ."""
        asked = [
            self._rpc.call_at(one, "GET", "/v1/catalog/version", type=CatalogVersion)
            for one in self._rpc.directory.instances("catalog")
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        versions = {answer.version for answer in answers if isinstance(answer, CatalogVersion)}
        return _event("catalog", _Version(versions.pop())) if len(versions) == 1 else b""

    async def _ask_jobs(self) -> bytes:
        if not any(one.operator for one in self._listeners):
            return b""
        with suppress(KinemaError):
            page = await self._rpc.call("encoding", "GET", "/v1/jobs", type=JobPage, deadline_seconds=2.0)
            return _event("jobs", {"jobs": page.jobs})
        return b""

    def _send(self, event: bytes, *, operators_only: bool) -> None:
        for listener in tuple(self._listeners):
            if operators_only and not listener.operator:
                continue
            if listener.paused:
                self._drop(listener)
            elif not listener.passage.write(event):
                listener.paused = True

    def _drop(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        listener.passage.exchange.on_disconnect = None
        listener.passage.exchange.abort()


def _event(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))
