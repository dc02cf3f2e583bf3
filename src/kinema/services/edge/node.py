"""An edge node: media by range to whoever holds a token, from the cache where it can, through it where it must.

    GET|HEAD|OPTIONS /m/{token}/{asset}/{version}/{track}
    GET /healthz     GET /status (operators and services)

The first request for an address verifies its token (constant time) and resolves it through the stored manifest; both are
remembered for the address until the token expires. After that, a hit is: one look-up, the range, one question to
the kernel whether the bytes are in memory, one write. It is answered inside the connection's callback, without a task.
"""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from cachebox import LRUCache

from kinema.core import identity
from kinema.core.clock import Clock
from kinema.core.errors import (
    Forbidden,
    KinemaError,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    Unauthenticated,
)
from kinema.core.keys import KeyRing
from kinema.core.log import get_logger
from kinema.core.media_token import unseal
from kinema.core.metrics import Metrics
from kinema.http import Exchange
from kinema.model.encoding import decode_manifest
from kinema.services.edge.answers import TrackAnswers, allow, refuse
from kinema.services.edge.cache import SliceCache, Spawn
from kinema.services.edge.delivery import Delivery
from kinema.services.edge.filling import ParentFailed
from kinema.services.edge.observing import SERVICE, EdgeRecords
from kinema.services.edge.parent import BlobsParent, Parent
from kinema.services.edge.requests import MediaPath, RangeNotSatisfiable, names_etag, parse_path
from kinema.services.edge.slices import ManifestUnusable
from kinema.services.edge.status import EdgeStatus
from kinema.storage.ports import Blobs

_GRANTS = 16_384  # addresses remembered; about 600 bytes each
_VERSIONS = 32  # manifests remembered; that of a two-hour film takes about 3 MB
_MOST_OPEN = 16_384  # slices; more maps than a process may have (65,530) must not come together

_CONDITIONS = (b"if-match", b"if-none-match", b"if-range")

_log = get_logger(__name__)

Tracks = dict[str, TrackAnswers]


class _Grant:
    """What an address gives: a track, until its token expires (Unix seconds)."""

    __slots__ = ("expires_at", "track")

    def __init__(self, track: TrackAnswers, expires_at: float) -> None:
        self.track = track
        self.expires_at = expires_at


class Edge:
    """The node. `handler` is given to `http.Server`; `close` gives everything up."""

    def __init__(
        self,
        name: str,
        parent: Parent,
        cache: SliceCache,
        keys: KeyRing,
        clock: Clock,
        spawn: Spawn,
        records: EdgeRecords,
    ) -> None:
        self._name = name
        self._parent = parent
        self._cache = cache
        self._keys = keys
        self._clock = clock
        self._now = clock.now
        self._records = records
        self._spawn = spawn
        self._grants: OrderedDict[str, _Grant] = OrderedDict()  # the first to leave is the oldest, which expires first
        self._versions: LRUCache[tuple[str, int], Tracks] = LRUCache(_VERSIONS)
        self._loading: dict[tuple[str, int], list[Callable[[Tracks | KinemaError], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def status(self) -> EdgeStatus:
        """The counters, live."""
        return self._cache.status

    async def close(self) -> None:
        """Give up what is being fetched and close all files. Drain the server first."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cache.close()

    def handler(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""
        grant = self._grants.get(exchange.target)
        if grant is None and "?" in exchange.target:  # a query changes nothing
            grant = self._grants.get(exchange.path)
        now = self._now()
        if grant is not None and grant.expires_at > now:
            if exchange.method == "GET":
                self._get(exchange, grant.track, now)
                return
            if exchange.method == "HEAD":
                self._head(exchange, grant.track)
                return
        try:
            self._route(exchange)
        except KinemaError as error:
            refuse(exchange, error)

    # -- the path of a hit -------------------------------------------------------------------------------------------

    def _get(self, exchange: Exchange, track: TrackAnswers, now: float) -> None:
        headers = exchange.headers
        wanted = headers.range
        base = headers.base
        if base.memo is None:
            base.memo = any(base.get(name) is not None for name in _CONDITIONS)
        if base.memo:
            if self._condition(exchange, track):
                return
            if headers.get(b"if-range") not in (None, track.etag):
                wanted = None
        try:
            span = track.whole if wanted is None else track.span(wanted)
        except RangeNotSatisfiable as error:
            refuse(exchange, error, ((b"content-range", b"bytes */%d" % track.cut.size),))
            return
        start, end, piece, head = span
        cache = self._cache
        if end <= piece.end and (body := cache.hit(piece, start, end, now)) is not None:
            status = cache.status
            status.hits += 1
            status.bytes_sent += end - start
            exchange.send(head, body)
            return
        Delivery(
            exchange,
            track,
            start,
            end,
            whole=span is track.whole,
            cache=cache,
            clock=self._clock,
            waited=self._records.waited,
        ).advance()

    def _head(self, exchange: Exchange, track: TrackAnswers) -> None:
        if not self._condition(exchange, track):
            cached = b"hit" if self._cache.ready(track.cut.slices[0].name) is not None else b"fwd=miss"
            exchange.start(200, track.fields(cached), track.cut.size)
            exchange.finish()

    def _condition(self, exchange: Exchange, track: TrackAnswers) -> bool:
        """Answer here when a condition of the request says so (RFC 9110, 13.2.2)."""
        wanted = exchange.headers.get(b"if-match")
        if wanted is not None and not names_etag(wanted, track.etag):
            refuse(
                exchange, PreconditionFailed("The track is another than the one that you have; start the play again.")
            )
            return True
        known = exchange.headers.get(b"if-none-match")
        if known is not None and names_etag(known, track.etag):
            exchange.reply(304, track.fields(b"hit"))
            return True
        return False

    # -- the path of a first request ---------------------------------------------------------------------------------

    def _route(self, exchange: Exchange) -> None:
        path = exchange.path
        if path == "/healthz":
            exchange.reply(
                200, ((b"content-type", b"application/json"), (b"cache-control", b"no-store")), b'{"status":"ok"}'
            )
        elif path == "/status":
            self._tell_status(exchange)
        elif (asked := parse_path(path)) is None:
            raise NotFound("There is nothing at this address.")
        elif exchange.method == "OPTIONS":
            allow(exchange)
        elif exchange.method not in ("GET", "HEAD"):
            refuse(
                exchange,
                MethodNotAllowed("Media can be read only; use GET or HEAD."),
                ((b"allow", b"GET, HEAD, OPTIONS"),),
            )
        else:
            self._admit(exchange, asked)

    def _admit(self, exchange: Exchange, asked: MediaPath) -> None:
        try:
            token = unseal(asked.token, self._keys, asked.asset, self._clock.now())
        except Forbidden:
            self._cache.status.refused += 1
            raise
        resume = partial(self._resume, exchange, asked, float(token.expires_at))
        key = (asked.asset, asked.version)
        tracks = self._versions.get(key)
        if tracks is not None:
            resume(tracks)
        elif key in self._loading:
            self._loading[key].append(resume)
        else:
            self._loading[key] = [resume]
            task = self._spawn(self._load(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _resume(self, exchange: Exchange, asked: MediaPath, expires_at: float, found: Tracks | KinemaError) -> None:
        """Go on with a request whose token is good, once the manifest is known."""
        if exchange.finished:
            return
        if isinstance(found, KinemaError):
            refuse(exchange, found)
            return
        track = found.get(asked.track)
        if track is None:
            refuse(exchange, NotFound(f"Version {asked.version} of {asked.asset} has no track {asked.track}."))
            return
        if len(self._grants) >= _GRANTS:
            self._grants.popitem(last=False)
        self._grants[exchange.path] = _Grant(track, expires_at)
        if exchange.method == "GET":
            self._get(exchange, track, self._now())
        else:
            self._head(exchange, track)

    async def _load(self, key: tuple[str, int]) -> None:
        """Read a manifest and go on with all who wait for it."""
        found: Tracks | KinemaError = ParentFailed("The film's description could not be had just now; try again.")
        try:
            body = await self._parent.manifest(*key)
            found = self._versions[key] = await asyncio.to_thread(_tracks_of, body, self._name)
        except NotFound as error:
            found = error
        except ManifestUnusable as error:
            found = error
        except KinemaError as error:
            found = ParentFailed(f"The film's description cannot be had: {error.detail}")
        except Exception as error:  # noqa: BLE001 -- those who wait must hear of it
            _log.error("a manifest could not be read", asset=key[0], version=key[1], exc_info=error)
        finally:
            for resume in self._loading.pop(key):
                resume(found)

    def _tell_status(self, exchange: Exchange) -> None:
        sealed = exchange.headers.get(identity.HEADER.encode())
        if sealed is None:
            raise Unauthenticated("The counters are for operators and services; send their identity.")
        identity.unseal(sealed.decode("latin-1"), self._keys, self._clock.now()).require("operator")
        exchange.reply(200, ((b"content-type", b"application/json"),), msgspec.json.encode(self.status))


def create_edge(
    *,
    name: str,
    directory: Path,
    capacity: int,
    keys: KeyRing,
    clock: Clock,
    blobs: Blobs | None = None,
    parent: Parent | None = None,
    spawn: Spawn = asyncio.create_task,
    metrics: Metrics | None = None,
) -> Edge:
    """Make an edge called `name` ("edge-1") that keeps at most `capacity` bytes in `directory`, which it alone may use.

    Its parent is the origin's `blobs` unless another one is given. Reads the directory, so it blocks for some
    milliseconds: call it before serving. Raises Unavailable when another edge uses the directory.
    """
    if parent is None:
        if blobs is None:
            raise ValueError("an edge needs blobs or another parent")
        parent = BlobsParent(blobs)
    cache = SliceCache(directory, parent, capacity, open_files=_open_files(), spawn=spawn)
    return Edge(name, parent, cache, keys, clock, spawn, EdgeRecords(metrics or Metrics(SERVICE), cache.status))


def _open_files() -> int:
    """How many slices may be open at once: half of the files that this process may open; clients have the other half.

    Raises the process's limit to what the system allows (usually from 1,024, which is for programs that use select).
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return _MOST_OPEN if most == resource.RLIM_INFINITY else min(most // 2, _MOST_OPEN)


def _tracks_of(body: bytes, name: str) -> Tracks:
    try:
        manifest = decode_manifest(body)
        return {track.name: TrackAnswers(track, name) for track in manifest.tracks}
    except (msgspec.DecodeError, ValueError) as error:
        raise ManifestUnusable("The film's description cannot be read; encode the film again.") from error
