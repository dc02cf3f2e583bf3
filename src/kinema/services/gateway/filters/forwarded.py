"""What the service behind us sees of a request: the end-to-end fields less credentials and claims (reading.py), and who asked.

A client cannot bring an identity, a deadline or a forwarding field of its own. Cookies and bearer tokens end here: services
know people by the sealed identity only. X-Forwarded-* of a TLS server in front (Caddy) count when the gateway was told so
and the connection comes from this machine.
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_MOST_CLIENTS = 4096
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1", ""})


class Forwarded:
    """Builds `passage.outgoing` and finds `passage.client`."""

    order: ClassVar[int] = 10

    def __init__(self, parts: "Parts") -> None:
        self._trust = parts.trust_forwarded
        self._encoded: dict[tuple[bytes, bytes, bytes], tuple[bytes, str]] = {}

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything: the gateway's own endpoints want to know host and scheme too."""
        del route, opened
        return True

    def apply(self, passage: Passage) -> None:
        """Copy what may pass, then say who asked for which host."""
        exchange = passage.exchange
        reading = passage.reading
        peer = exchange.peer
        host = reading.host
        proto = b"http"
        addresses = peer.encode()
        if self._trust and peer in _LOOPBACK:
            headers = exchange.headers
            host = headers.get(b"x-forwarded-host") or host
            proto = b"https" if headers.get(b"x-forwarded-proto") == b"https" else b"http"
            addresses = b", ".join(headers.get_all(b"x-forwarded-for")) or addresses
        passage.host = host
        passage.proto = proto
        lines, passage.client = self._encoded.get((host, proto, addresses)) or self._client(host, proto, addresses)
        passage.outgoing = [reading.lines, lines]

    def _client(self, host: bytes, proto: bytes, addresses: bytes) -> tuple[bytes, str]:
        """Return the encoded fields, and the address that counts: the same ones for each request of a client."""
        if len(self._encoded) >= _MOST_CLIENTS:
            self._encoded.clear()
        fields = ((b"x-forwarded-host", host), (b"x-forwarded-proto", proto), (b"x-forwarded-for", addresses))
        # The last one was added by the server in front of us; those before it are the client's own words.
        client = addresses.rpartition(b",")[2].strip().decode("latin-1")
        found = self._encoded[host, proto, addresses] = (encode_fields(fields), client)
        return found
