"""A connection after 101 (Switching Protocols; RFC 9110, 7.8): raw bytes both ways, on the server's and on the client's side alike.

The tunnel takes the place of the HTTP protocol on its transport, whose parser and buffers are let go, so that thousands of
idle ones cost little. Callbacks, no task. Pressure goes both ways: `write` returns False above the high-water mark and
`on_writable` says when to go on; `pause` stops reading the socket. A peer that ends its direction (FIN) is told by
`on_eof`, after which bytes may still be written to it for a while; the end of the connection, however it came, by `on_close`.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from kinema.core.log import get_logger
from kinema.http.limits import TunnelLimits

_log = get_logger(__name__)


class TunnelOwner(Protocol):
    """Who sweeps a tunnel and forgets it when it has ended: the server or the client."""

    now: float

    def release(self, ended: "Tunnel", /) -> None:
        """The connection is gone."""
        ...


class Tunnel(asyncio.Protocol):
    """One upgraded connection. Whoever gets it sets the callbacks before it returns to the event loop."""

    __slots__ = (
        "_ended_in",
        "_ended_out",
        "_ended_since",
        "_held",
        "_idle_since",
        "_limits",
        "_moved",
        "_owner",
        "_paused",
        "_unsent",
        "_unsent_since",
        "on_close",
        "on_data",
        "on_eof",
        "on_writable",
        "transport",
        "write_paused",
    )

    def __init__(self, transport: asyncio.Transport, owner: TunnelOwner, limits: TunnelLimits) -> None:
        self.transport = transport
        self.on_data: Callable[[bytes], None] | None = None
        """Called with each piece that arrives."""
        self.on_eof: Callable[[], None] | None = None
        """Called once when the other side has sent all that it will; without it, the tunnel is closed then."""
        self.on_close: Callable[[], None] | None = None
        """Called once when the connection is gone, for whatever reason."""
        self.on_writable: Callable[[], None] | None = None
        """Called when `write` returned False and more may be written."""
        self.write_paused = False
        self._owner = owner
        self._limits = limits
        self._paused = False
        self._held: list[bytes] | None = None
        self._moved = True
        self._idle_since = owner.now
        self._ended_in = self._ended_out = False
        self._ended_since = 0.0
        self._unsent = 0
        self._unsent_since = 0.0
        transport.set_write_buffer_limits(high=limits.write_high_bytes)

    # -- for its holder ----------------------------------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self.transport.is_closing()

    def write(self, chunk: bytes) -> bool:
        """Send a piece. False: wait for `on_writable`, or the connection is ending."""
        if self.transport.is_closing():
            return False
        self._moved = True
        self.transport.write(chunk)
        return not self.write_paused

    def write_eof(self) -> None:
        """End our direction behind what was written; the other side may go on for `TunnelLimits.ended_seconds`."""
        if self.transport.is_closing() or self._ended_out:
            return
        self._end()
        self._ended_out = True
        if self._ended_in or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()

    def pause(self) -> None:
        """Deliver nothing until `resume`; the socket is not read, so the other side is slowed down."""
        if not self._paused:
            self._paused = True
            if not self.transport.is_closing():
                self.transport.pause_reading()

    def resume(self) -> None:
        """Go on delivering."""
        if not self._paused:
            return
        self._paused = False
        while self._held and not self._paused:
            self._deliver(self._held.pop(0))
        if not self._paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def close(self) -> None:
        """Send what was written, then close."""
        self.transport.close()

    def abort(self) -> None:
        """Close without waiting for anything."""
        self.transport.abort()

    # -- for its owner -----------------------------------------------------------------------------------------------

    def drain(self, idle_seconds: float) -> None:
        """Nothing to do: who holds the tunnel knows how to end it; what is left after the server's grace is cut."""
        del idle_seconds

    def sweep(self, now: float) -> None:
        """Cut a tunnel that takes nothing, says nothing, or goes on too long after one side has ended."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            if unsent != self._unsent:
                self._unsent, self._unsent_since = unsent, now
            elif now - self._unsent_since > self._limits.send_seconds:
                self.transport.abort()
                return
        else:
            self._unsent = 0
        if (self._ended_in or self._ended_out) and now - self._ended_since > self._limits.ended_seconds:
            self.transport.abort()
        elif self._moved:
            self._moved = False
            self._idle_since = now
        elif now - self._idle_since > self._limits.idle_seconds:
            self.transport.abort()

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Pass a piece on, or hold it when it came with what paused us."""
        self._moved = True
        if self._paused:
            if self._held is None:
                self._held = []
            self._held.append(data)
        else:
            self._deliver(data)

    def eof_received(self) -> bool:
        """The other side has ended its direction; ours stays open if somebody wants it."""
        if self.on_eof is None:
            return False
        self._end()
        self._ended_in = True
        if not self._ended_out:
            self.on_eof()
        return not self._ended_out  # with both ended, the transport sends what is left and closes

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything, and tell whoever holds the tunnel."""
        del exc
        self._owner.release(self)
        closed = self.on_close
        self.on_data = self.on_eof = self.on_close = self.on_writable = self._held = None
        if closed is not None:
            closed()

    def pause_writing(self) -> None:
        """The kernel's buffer and ours are full."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The other side has taken enough again."""
        self.write_paused = False
        if self.on_writable is not None:
            self.on_writable()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """One direction ends: the clock of the other one starts."""
        if not (self._ended_in or self._ended_out):
            self._ended_since = self._owner.now

    def _deliver(self, data: bytes) -> None:
        if self.on_data is None:
            return
        try:
            self.on_data(data)
        except Exception:  # noqa: BLE001 (a holder's own mistake ends its own tunnel only)
            _log.exception("the holder of a tunnel failed")
            self.transport.abort()


def take_over(transport: asyncio.BaseTransport, owner: TunnelOwner, limits: TunnelLimits) -> Tunnel:
    """Put a tunnel in the place of the protocol that has spoken HTTP on this transport."""
    moved = cast("asyncio.Transport", transport)
    tunnel = Tunnel(moved, owner, limits)
    moved.set_protocol(tunnel)
    return tunnel
