"""A listening socket with its connections, one coarse timer for all of them, and an orderly end."""

import asyncio
import socket
from collections.abc import Callable

from kinema.core.clock import Clock, SystemClock
from kinema.http.connection import Connection
from kinema.http.exchange import Exchange
from kinema.http.heads import Tails
from kinema.http.known import KnownBlocks
from kinema.http.limits import Limits
from kinema.http.tunnel import Tunnel

Handler = Callable[[Exchange], None]


class Server:
    """Serve HTTP/1.1 on a socket that somebody else opened (TCP or unix).

    `handler` is called with an Exchange as soon as a request's head is complete, and must not block.
    """

    def __init__(self, handler: Handler, limits: Limits | None = None, *, clock: Clock | None = None) -> None:
        self.handler = handler
        self.limits = limits or Limits()
        self.tails = Tails()
        self.known = KnownBlocks(self.limits)
        self.connections: set[Connection | Tunnel] = set()
        self.draining = False
        self.now = 0.0
        self.idle_deadline = 0.0
        self._clock = clock or SystemClock()
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._date = 0
        self.port = 0

    async def start(self, sock: socket.socket) -> None:
        """Accept connections from a bound socket; `port` is then its port (0 for a unix socket)."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        if sock.family == socket.AF_UNIX:
            self._listener = await loop.create_unix_server(self._connect, sock=sock, backlog=1024)
        else:
            self._listener = await loop.create_server(self._connect, sock=sock, backlog=1024)
            self.port = sock.getsockname()[1]
        self._sweep()

    async def drain(
        self,
        timeout: float = 5.0,  # noqa: ASYNC109 (it bounds the answers, not this coroutine)
        idle_seconds: float = 0.0,
    ) -> None:
        """Stop accepting, let every answer that was begun end within `timeout` seconds, then cut what is left.

        Idle connections may bring one more request for `idle_seconds`; its answer closes them. A client that sends at
        the very moment at which an idle connection is closed loses its request (RFC 9112, 9.3.1), so a restart gives time.
        """
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.drain(idle_seconds)
        if self.connections:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._empty,), timeout=timeout)
        for connection in tuple(self.connections):
            connection.transport.abort()
        if self._timer is not None:
            self._timer.cancel()

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False when there are too many."""
        self.connections.add(connection)
        return len(self.connections) <= self.limits.connections

    def hand_over(self, connection: Connection, tunnel: Tunnel) -> None:
        """A connection was upgraded; the tunnel takes its place."""
        self.connections.add(tunnel)
        self.connections.discard(connection)

    def release(self, connection: Connection | Tunnel) -> None:
        """Forget a closed connection."""
        self.connections.discard(connection)
        if not self.connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _connect(self) -> Connection:
        return Connection(self)

    def _sweep(self) -> None:
        """One timer for everything: the date of the answers, and every connection's deadline.

        A request only stores a number in its connection; looking at 10,000 of them twice a second costs about 2 ms.
        """
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self.idle_deadline = self.now + self.limits.idle_seconds
        date = int(self._clock.now())
        if date != self._date:
            self._date = date
            self.tails.renew(date)
        for connection in tuple(self.connections):
            connection.sweep(self.now)
        self._timer = loop.call_later(self.limits.sweep_seconds, self._sweep)
