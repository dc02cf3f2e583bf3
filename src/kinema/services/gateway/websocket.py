"""WebSockets passed through to a service (RFC 6455 by way of RFC 9110, 7.8), on routes that say so.

    handshake    through all inbound filters like any request, so signed in, from our own pages, with a sealed identity
    service      picked and retried like any request; the offer is made anew, hop by hop
    101          only with Upgrade, Connection and the right Sec-WebSocket-Accept; then bytes both ways, unread, with
                 back-pressure; another answer is passed on as it is; no answer is 502, 503 or 504
    the end      of one side's direction ends that direction on the other side too, and the rest has ten seconds;
                 a side that is lost closes the other; a session that has ended cuts its tunnels within 30 s

Tunnels do not count as requests under way at the balancer: an idle one is no load.
"""

import asyncio
from collections import Counter
from functools import partial

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, KinemaError, TooMany, Unauthenticated
from kinema.core.log import get_logger
from kinema.http import Headers, ResponseInvalid, Tunnel, end_to_end
from kinema.model.discovery import Instance
from kinema.rpc.balance import Outcome
from kinema.services.gateway.handshake import PROTOCOL, accept_token, offers_websocket
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.proxy import Proxy
from kinema.services.gateway.relay import Relay
from kinema.services.gateway.sessions import Sessions

MOST_TUNNELS = 4_000
MOST_PER_SESSION = 24
_VERIFY_SECONDS = 15.0

_log = get_logger(__name__)


class WebSockets:
    """The endpoint of routes with `websocket`: handshakes are relayed here, everything else by the proxy."""

    def __init__(self, proxy: Proxy, sessions: Sessions, clock: Clock) -> None:
        self.proxy = proxy
        self._sessions = sessions
        self._clock = clock
        self._open: dict[Tunnel, bytes] = {}  # the client's side, and the secret that opened it
        self._by_secret: Counter[bytes] = Counter()
        self._watch: asyncio.Task[None] | None = None

    def __call__(self, passage: Passage) -> None:
        """Endpoint: relay a handshake."""
        if not offers_websocket(passage.exchange):
            self.proxy(passage)
            return
        token = accept_token(passage.exchange)
        if len(self._open) >= MOST_TUNNELS or self._by_secret[passage.reading.secret] >= MOST_PER_SESSION:
            raise TooMany("Too many WebSockets are open; close some and try again.")
        Handshake(self, passage, token).begin()

    @property
    def tunnels(self) -> int:
        """How many are open."""
        return len(self._open)

    def opened(self, client: Tunnel, secret: bytes) -> None:
        """Remember a tunnel for as long as it is open."""
        self._open[client] = secret
        self._by_secret[secret] += 1
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._verify())

    def closed(self, client: Tunnel) -> None:
        """Forget a tunnel."""
        secret = self._open.pop(client, None)
        if secret is not None:
            self._by_secret[secret] -= 1
            if not self._by_secret[secret]:
                del self._by_secret[secret]

    async def close(self) -> None:
        """Stop looking after tunnels; the server ends them."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _verify(self) -> None:
        """Cut the tunnels of sessions that have ended, as long as any are open."""
        while self._open:
            await self._clock.sleep(_VERIFY_SECONDS)
            for secret in tuple(self._by_secret):
                if not secret:
                    continue  # a route that needs no identity
                try:
                    await self._sessions.verify(secret)
                except Unauthenticated:
                    for client in [one for one, opener in self._open.items() if opener == secret]:
                        client.abort()
                except KinemaError as error:
                    _log.info("a session could not be verified", error=str(error))


class Handshake(Relay):
    """A handshake on its way to a service."""

    __slots__ = ("_sockets", "_token")

    upgrade = PROTOCOL

    def __init__(self, sockets: WebSockets, passage: Passage, token: bytes) -> None:
        super().__init__(sockets.proxy, passage)
        self._sockets = sockets
        self._token = token

    def _open(self, instance: Instance) -> bool:
        sent = super()._open(instance)
        if sent and self._call is not None:
            self._call.on_upgrade = self._upgraded
        return sent

    def _upgraded(self, headers: Headers, service: Tunnel) -> None:
        """The service has gone over: so does the client, unless the answer or the client is not what it should be."""
        passage = self._passage
        self._call = None
        passage.exchange.on_disconnect = None
        protocols = (headers.get(b"upgrade") or b"").lower()
        if protocols != PROTOCOL or headers.get_all(b"sec-websocket-accept") != [self._token]:
            service.abort()
            self.on_error(
                ResponseInvalid("The service went over to something else than the WebSocket that was asked for.")
            )
            return
        self._headers = headers
        self._settle(Outcome.ANSWERED, 101)
        try:
            client = passage.upgrade(end_to_end(headers), PROTOCOL)
        except BadInput as error:
            service.abort()
            passage.refuse(error)
            return
        self._sockets.opened(client, passage.reading.secret)
        _lead(client, service, partial(self._sockets.closed, client))
        _lead(service, client, None)


def _lead(source: Tunnel, target: Tunnel, closed: "partial[None] | None") -> None:
    """Pass what `source` says on to `target`, at the pace of `target`."""

    def pass_on(chunk: bytes) -> None:
        if not target.write(chunk):
            source.pause()

    def close() -> None:
        if closed is not None:
            closed()
        target.close()

    source.on_data = pass_on
    source.on_eof = target.write_eof
    source.on_close = close
    target.on_writable = source.resume
