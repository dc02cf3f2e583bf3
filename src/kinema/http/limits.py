"""How much a peer may ask of us. Every limit has a default that suits a public port; sizes in bytes, times in seconds."""

import msgspec


class TunnelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a connection that was upgraded (see tunnel.py), on either side."""

    idle_seconds: float = 300.0
    """Time without one byte either way; WebSockets ping each other far more often."""
    send_seconds: float = 60.0
    """Longest time in which the other side takes not one byte of what waits for it."""
    ended_seconds: float = 10.0
    """How long one direction may go on after the other has ended."""
    write_high_bytes: int = 64 * 1024
    """Unsent bytes above which `Tunnel.write` returns False."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a server on each of its connections."""

    connections: int = 10_000
    """Open connections; one more is answered 503 and closed."""
    target_bytes: int = 8 * 1024
    """Length of the request target; more is answered 414."""
    head_bytes: int = 32 * 1024
    """Size of target and header fields together; more is answered 431."""
    header_count: int = 100
    """Number of header fields; more is answered 431."""
    body_bytes: int = 1024 * 1024
    """Size of a request body unless the handler asks for another limit; more is answered 413."""
    unread_bytes: int = 64 * 1024
    """Body bytes held while the handler does not read; then the socket is read no further."""
    discard_bytes: int = 256 * 1024
    """Rest of a body that is read and thrown away to keep the connection after an early answer."""
    pipelined: int = 64
    """Requests waiting behind the current one; the connection is closed after the last that fits."""
    head_seconds: float = 10.0
    """From the first byte of a head to its last."""
    body_seconds: float = 30.0
    """Longest pause inside a body."""
    send_seconds: float = 60.0
    """Longest time in which a client takes not one byte of an answer."""
    idle_seconds: float = 75.0
    """Time that a connection may wait for its next request."""
    linger_seconds: float = 2.0
    """After an answer that closes the connection early: how long the client may still send before the socket goes."""
    sweep_seconds: float = 0.5
    """How often the times above are looked at; they are this coarse."""
    write_high_bytes: int = 256 * 1024
    """Unsent bytes above which `Exchange.write` returns False."""
    tunnel: TunnelLimits = TunnelLimits()
    """Limits of a connection after an upgrade; it still counts among `connections`."""


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a client on each origin that it calls."""

    connections: int = 128
    """Open connections to one origin."""
    waiting: int = 1024
    """Calls that may wait for a connection to one origin; one more fails with PoolFull."""
    connect_seconds: float = 2.0
    """Time for one connection to be made."""
    idle_seconds: float = 4.0
    """Time that an unused connection is kept; shorter than the 5 s for which uvicorn keeps its end."""
    head_bytes: int = 64 * 1024
    """Size of a response head."""
    header_count: int = 200
    """Number of header fields of a response."""
    fetch_bytes: int = 64 * 1024 * 1024
    """Largest response body that `fetch` holds in memory."""
    stream_bytes: int = 512 * 1024
    """Body bytes that `stream` holds for a slow reader before the socket is read no further."""
    tunnel: TunnelLimits = TunnelLimits()
    """Limits of a connection after an upgrade; it no longer counts among `connections`."""
    sweep_seconds: float = 0.05
    """How often time-outs and idle connections are looked at; they are this coarse."""
