"""What the service behind us sees of a request: the end-to-end fields less credentials and claims, and who asked for what host.

A client cannot bring an identity, a deadline or a forwarding field of its own. Cookies and bearer tokens end here: services
know people by the sealed identity only. X-Forwarded-* of a TLS server in front (Caddy) count when the gateway was told so
and the connection comes from this machine.
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.http.headers import HOP_BY_HOP
from kinema.services.gateway.passage import HeaderList, Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_DROPPED = HOP_BY_HOP | {
    b"authorization",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"traceparent",
    b"tracestate",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
}
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1", ""})


class Forwarded:
    """Builds `passage.outgoing`."""

    order: ClassVar[int] = 10

    def __init__(self, parts: "Parts") -> None:
        self._trust = parts.trust_forwarded

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything: the gateway's own endpoints want to know host and scheme too."""
        del route, opened
        return True

    def apply(self, passage: Passage) -> None:
        """Copy what may pass, then say who asked."""
        exchange = passage.exchange
        headers = exchange.headers
        dropped: frozenset[bytes] = _DROPPED
        connection = headers.get(b"connection")
        if connection is not None and connection.lower() not in {b"keep-alive", b"close"}:
            named = b",".join(headers.get_all(b"connection")).lower().split(b",")
            dropped |= {name.strip() for name in named}
        outgoing: HeaderList = [
            pair for pair in headers if pair[0] not in dropped and not pair[0].startswith(b"x-kinema-")
        ]
        peer = exchange.peer
        host = headers.get(b"host") or b""
        proto = b"http"
        addresses = peer.encode()
        if self._trust and peer in _LOOPBACK:
            host = headers.get(b"x-forwarded-host") or host
            proto = b"https" if headers.get(b"x-forwarded-proto") == b"https" else b"http"
            addresses = b", ".join(headers.get_all(b"x-forwarded-for")) or addresses
        passage.host = host
        passage.proto = proto
        outgoing.append((b"x-forwarded-host", host))
        outgoing.append((b"x-forwarded-proto", proto))
        outgoing.append((b"x-forwarded-for", addresses))
        passage.outgoing = outgoing
