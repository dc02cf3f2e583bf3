"""The connections to one origin: used again last-in first-out, bounded, with a bounded queue of calls behind them."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from kinema.http.call import Call
from kinema.http.errors import ConnectFailed, PoolFull
from kinema.http.limits import ClientLimits
from kinema.http.outbound import KnownAnswer, Outbound
from kinema.http.tunnel import Tunnel, take_over

if TYPE_CHECKING:
    from kinema.http.client import Client


class Pool:
    """Connections to `origin`: "host:port", "[v6 address]:port" or "unix:/path"."""

    def __init__(self, client: "Client", origin: str) -> None:
        self.origin = origin
        self.limits: ClientLimits = client.limits
        self._client = client
        self.known: dict[bytes, KnownAnswer] = {}  # heads of answers by their bytes
        self.starts: dict[tuple[str, str], bytes] = {}  # request line and Host by method and target
        self._idle: list[Outbound] = []
        self._open: set[Outbound] = set()
        self._connecting = 0
        self._waiting: deque[Call] = deque()
        if origin.startswith("unix:"):
            self.host = "localhost"
            self._path, self._address, self._port = origin[5:], "", 0
        else:
            self.host = origin
            host, colon, port = origin.rpartition(":")
            if not colon or not port.isdecimal():
                raise ValueError(f"{origin!r} is not an origin; write host:port or unix:/path.")
            self._path, self._address, self._port = "", host.strip("[]"), int(port)

    # -- for the client ----------------------------------------------------------------------------------------------

    def submit(self, call: Call, *, fresh: bool = False) -> None:
        """Send a call now, or when a connection is free. `fresh`: on a new connection, as kept ones seem to be stale."""
        idle = self._idle
        while idle and not fresh:
            connection = idle.pop()
            if not connection.transport.is_closing():
                connection.begin(call)
                return
        if len(self._waiting) >= self.limits.waiting:
            error = PoolFull(f"{self.limits.waiting} calls already wait for a connection to {self.origin}.")
            asyncio.get_running_loop().call_soon(self._refuse, call, error)
            return
        if fresh:
            self._waiting.appendleft(call)
            self._drop_idle()
        else:
            self._waiting.append(call)
        if len(self._open) + self._connecting < self.limits.connections:
            self._connecting += 1
            self._client.keep(asyncio.get_running_loop().create_task(self._connect()))

    def expire(self, now: float) -> None:
        """Close the connections that nobody has used for a while."""
        while self._idle and now - self._idle[0].idle_since > self.limits.idle_seconds:
            self._idle.pop(0).close()

    @property
    def busy(self) -> bool:
        """Whether there is anything that time could change."""
        return bool(self._open or self._waiting or self._connecting)

    def calls(self) -> list[Call]:
        """Return the calls that wait for a connection or for their answer."""
        begun = [connection.call for connection in self._open if connection.call is not None]
        return [*begun, *self._waiting]

    @property
    def connections(self) -> int:
        """How many connections are open or being made."""
        return len(self._open) + self._connecting

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return len(self._waiting)

    def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self._open):
            connection.close()
        self._idle.clear()

    # -- for calls ---------------------------------------------------------------------------------------------------

    def forget(self, call: Call) -> None:
        """A call was cancelled or has used up its time: take it out of the queue, or close its connection."""
        connection, call.connection = call.connection, None
        if connection is not None:
            connection.close()
        elif call in self._waiting:
            self._waiting.remove(call)

    def deadline_in(self, seconds: float | None) -> float:
        """Return the loop's time in this many seconds."""
        return self._client.deadline_in(seconds)

    # -- for connections ---------------------------------------------------------------------------------------------

    def offer(self, connection: Outbound) -> None:
        """A connection is free: give it to who waits longest, else keep it."""
        while self._waiting:
            call = self._waiting.popleft()
            if not call.done:
                connection.begin(call)
                return
        connection.idle_since = self._client.now
        self._idle.append(connection)

    def hand_over(self, connection: Outbound) -> Tunnel:
        """A connection was upgraded: it leaves the pool, whose place is free for others, and becomes a tunnel."""
        self.closed(connection)
        tunnel = take_over(connection.transport, self._client, self.limits.tunnel)
        self._client.tunnels.add(tunnel)
        self._client.watch()
        return tunnel

    def closed(self, connection: Outbound) -> None:
        """A connection is gone; its place is for whoever still waits."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if len(self._waiting) > self._connecting and len(self._open) + self._connecting < self.limits.connections:
            self._connecting += 1
            self._client.keep(asyncio.get_running_loop().create_task(self._connect()))

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                if self._path:
                    _, connection = await loop.create_unix_connection(self._make, self._path)
                else:
                    _, connection = await loop.create_connection(self._make, self._address, self._port)
        except (OSError, TimeoutError) as error:
            self._connecting -= 1
            reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
            if self._waiting:
                call = self._waiting.popleft()
                self._refuse(call, ConnectFailed(f"No connection to {self.origin}: {reason}."))
            return
        self._connecting -= 1
        self._open.add(connection)
        self.offer(connection)

    def _make(self) -> Outbound:
        return Outbound(self)

    def _refuse(self, call: Call, error: ConnectFailed | PoolFull) -> None:
        self._client.refused += 1
        call.fail(error)

    def _drop_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()
