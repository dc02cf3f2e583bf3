"""The pooled client: by callbacks for proxies (`send`), awaited whole (`fetch`), or awaited piece by piece (`stream`)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from kinema.core.errors import KinemaError, TooLarge
from kinema.http.call import Call, Sink, Upload, encode_request
from kinema.http.errors import TimedOut
from kinema.http.headers import Fields, Headers
from kinema.http.limits import ClientLimits
from kinema.http.pool import Pool
from kinema.http.tunnel import Tunnel

NEVER = float("inf")
_TUNNEL_SWEEP_SECONDS = 1.0  # their limits are far longer than those of calls


class Response(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


class Client:
    """Calls origins over kept connections. Belongs to the event loop on which it is first used."""

    def __init__(self, limits: ClientLimits | None = None) -> None:
        self.limits = limits or ClientLimits()
        self.tunnels: set[Tunnel] = set()
        self.now = 0.0
        self.refused = 0
        """Calls that found too many waiting, or got no connection."""
        self._tunnels_swept = 0.0
        self._pools: dict[str, Pool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def send(
        self,
        origin: str,
        method: str,
        target: str,
        headers: Fields | bytes,
        sink: Sink,
        *,
        body: bytes | Upload = b"",
        timeout: float | None = 30.0,
        upgrade: bytes = b"",
    ) -> Call:
        """Send a request and return at once; `sink` hears of the answer, never before this method has returned.

        `origin` is "host:port" or "unix:/path"; `timeout` in seconds covers everything up to the last byte of the answer
        (see `Call.expire_in`). A GET, HEAD, PUT, DELETE or OPTIONS with a whole body is sent a second time if a kept
        connection turns out to have been closed before it answered anything. `headers` may be the lines that
        `encode_fields` made. `upgrade` names a protocol to offer; set `Call.on_upgrade`, which is called if the answer is
        101, while any other answer goes to the sink. Raises ValueError for a request that cannot be written down.
        """
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(self, origin)
        head = encode_request(method, target, headers, pool.host, body, upgrade, pool.starts)
        if self._timer is None:
            self.watch()
        call = Call(pool, method, head, body, sink, NEVER if timeout is None else self.now + timeout)
        pool.submit(call)
        return call

    async def fetch(
        self,
        origin: str,
        method: str,
        target: str,
        headers: Fields = (),
        body: bytes = b"",
        timeout: float | None = 30.0,  # noqa: ASYNC109 (kept by the shared timer)
    ) -> Response:
        """Send a request and return the whole answer. Raises what `Sink.on_error` is told, or TooLarge."""
        collector = _Collector(self.limits.fetch_bytes)
        call = self.send(origin, method, target, headers, collector, body=body, timeout=timeout)
        collector.call = call
        try:
            return await collector.answer
        finally:
            call.cancel()

    @asynccontextmanager
    async def stream(
        self,
        origin: str,
        method: str,
        target: str,
        headers: Fields = (),
        body: bytes = b"",
        timeout: float | None = 30.0,  # noqa: ASYNC109 (kept by the shared timer)
    ) -> AsyncIterator["Incoming"]:
        """Send a request and yield its answer as soon as the head is there; `timeout` covers the head only.

        Leaving the block before the end of the body closes the connection.
        """
        incoming = Incoming(self.limits.stream_bytes)
        call = self.send(origin, method, target, headers, incoming, body=body, timeout=timeout)
        incoming.call = call
        try:
            await incoming.head
            yield incoming
        finally:
            call.cancel()

    @property
    def active(self) -> list[Call]:
        """The calls that wait for a connection or for their answer."""
        return [call for pool in self._pools.values() for call in pool.calls()]

    @property
    def connections(self) -> int:
        """How many connections are open or being made, to all origins."""
        return sum(pool.connections for pool in self._pools.values())

    @property
    def waiting(self) -> int:
        """How many calls wait for a connection."""
        return sum(pool.waiting for pool in self._pools.values())

    async def close(self) -> None:
        """Cancel every call and close every connection."""
        for call in self.active:
            call.cancel()
        for tunnel in tuple(self.tunnels):
            tunnel.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pool in self._pools.values():
            pool.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- for pools ---------------------------------------------------------------------------------------------------

    def deadline_in(self, seconds: float | None) -> float:
        """Return the loop's time, coarse by one sweep, in this many seconds."""
        return NEVER if seconds is None else self.now + seconds

    def release(self, ended: Tunnel) -> None:
        """Forget a tunnel that has ended."""
        self.tunnels.discard(ended)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def watch(self) -> None:
        """Start the timer, which runs only while there are calls or connections."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self.now = loop.time()
            self._timer = loop.call_later(self.limits.sweep_seconds, self._sweep)

    def _sweep(self) -> None:
        self.now = asyncio.get_running_loop().time()
        for call in self.active:
            if call.deadline <= self.now and not call.done:
                call.pool.forget(call)
                call.fail(TimedOut(f"{call.pool.origin} did not answer {call.method} in time."))
        for pool in self._pools.values():
            pool.expire(self.now)
        if self.tunnels and self.now - self._tunnels_swept >= _TUNNEL_SWEEP_SECONDS:
            self._tunnels_swept = self.now
            for tunnel in tuple(self.tunnels):
                tunnel.sweep(self.now)
        self._timer = None
        if self.tunnels or any(pool.busy for pool in self._pools.values()):
            self.watch()


class _Collector:
    """A sink that gathers a whole answer."""

    def __init__(self, limit: int) -> None:
        self.answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.call: Call | None = None
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []

    def on_head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers

    def on_data(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            self.on_error(TooLarge(f"The answer is larger than the {self._limit} bytes that are taken at once."))
            if self.call is not None:
                self.call.cancel()
            return
        self._pieces.append(chunk)

    def on_end(self) -> None:
        if not self.answer.done():
            self.answer.set_result(Response(self._status, self._headers, b"".join(self._pieces)))

    def on_error(self, error: KinemaError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Incoming:
    """An answer whose body is still arriving: `status`, `headers`, and the body by `async for chunk in incoming`."""

    status = 0
    headers = Headers({})

    def __init__(self, limit: int) -> None:
        self.head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call: Call | None = None
        self._limit = limit
        self._size = 0
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._error: KinemaError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> "Incoming":
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece. Raises what ended the answer early."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = self._pieces.popleft()
        before = self._size
        self._size -= len(chunk)
        if self.call is not None and before > self._limit >= self._size:
            self.call.resume()
        return chunk

    def on_head(self, status: int, headers: Headers) -> None:
        """Sink: the block of `stream` may begin."""
        self.status, self.headers = status, headers
        if self.call is not None:
            self.call.expire_in(None)
        if not self.head.done():
            self.head.set_result(None)

    def on_data(self, chunk: bytes) -> None:
        """Sink: hold a piece, and slow the origin down when much is held."""
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._size > self._limit and self.call is not None:
            self.call.pause()
        self._wake()

    def on_end(self) -> None:
        """Sink: the body is complete."""
        self._ended = True
        self._wake()

    def on_error(self, error: KinemaError) -> None:
        """Sink: the body will not be complete."""
        self._error = error
        if not self.head.done():
            self.head.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
