"""A browser may change things only on behalf of our own pages: another site's page must not use the visitor's cookie.

GET, HEAD, OPTIONS          pass: they change nothing, unless they ask for a WebSocket, which other sites' pages can open
                            with the visitor's cookie and read (RFC 6455, 10.2)
a bearer token              passes: no browser adds one by itself
Origin                      must be our own host (and https, where we know that we are called by https), or one that the
                            operator lets use cookies (cors.py)
else Sec-Fetch-Site         must be same-origin
neither                     passes without a cookie only (scripts that sign in)
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.core.errors import Forbidden
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class Origin:
    """Refuses cross-site requests (OWASP's "verifying origin with standard headers")."""

    order: ClassVar[int] = 50
    section: ClassVar[str] = "cors"

    def __init__(self, parts: "Parts") -> None:
        cors = parts.config.cors
        self.by_head = not parts.trust_forwarded  # else the host may be another for each connection
        self._allowed = frozenset(one.encode().lower() for one in cors.origins) if cors.credentials else frozenset()

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All of the API, signing in too: nobody shall be signed in to somebody else's account unnoticed."""
        del opened
        return route.endpoint != "pages"

    def apply(self, passage: Passage) -> None:
        """Raise Forbidden for a request from elsewhere."""
        exchange = passage.exchange
        if exchange.method in _HARMLESS and not exchange.offers:
            return
        reading = passage.reading
        with_cookie = reading.by_cookie and bool(reading.secret)
        if reading.secret and not with_cookie:
            return
        headers = exchange.headers
        origin = headers.get(b"origin")
        if origin is not None:
            scheme, _, host = origin.lower().partition(b"://")
            same = host == passage.host.lower() and (scheme == b"https" or scheme == passage.proto == b"http")
            same = same or origin.lower() in self._allowed
        else:
            site = headers.get(b"sec-fetch-site")
            same = site == b"same-origin" if site is not None else not with_cookie
        if not same:
            raise Forbidden("The request comes from another site's page; use Kinema's own pages, or a bearer token.")
