"""Pages of other sites may use the API when the operator names them (the CORS protocol of the Fetch standard).

a preflight of an allowed origin    is answered here, before anybody is asked to sign in: a preflight carries no credentials
other requests of allowed origins   get Access-Control-Allow-Origin, so that the page may read the answer
any other origin                    gets nothing: the browser keeps the answer from the page, and `origin` refuses its changes

Without configured origins the filter is in no lane. Manifests have a rule of their own (cross_origin.py).
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route
from kinema.services.gateway.status import StatusCategory

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_VARY = encode_fields(((b"vary", b"origin"),))


class CrossOriginSharing:
    """Answers preflights and adds the fields that let a page read an answer."""

    order: ClassVar[int] = 12
    section: ClassVar[str] = "cors"

    def __init__(self, parts: "Parts") -> None:
        config = parts.config.cors
        self._any = "*" in config.origins
        self._origins = frozenset(origin.encode().lower() for origin in config.origins)
        shared = [(b"access-control-expose-headers", ", ".join(config.expose).encode())]
        if config.credentials:
            shared.append((b"access-control-allow-credentials", b"true"))
        self._shared = encode_fields(shared)
        self._preflight = [
            (b"access-control-allow-methods", ", ".join(config.methods).encode()),
            (b"access-control-allow-headers", ", ".join(config.headers).encode()),
            (b"access-control-max-age", str(config.max_age).encode()),
            (b"vary", b"access-control-request-method, access-control-request-headers"),
        ]

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All of the API, once there are origins."""
        del opened
        return bool(self._origins) and route.endpoint != "pages" and route.prefix != "/v1/manifests"

    def apply(self, passage: Passage) -> bool | None:
        """Say whether the page that asks may read the answer."""
        exchange = passage.exchange
        origin = exchange.headers.get(b"origin")
        if not self._any:
            passage.lines.append(_VARY)
        if origin is None or not (self._any or origin.lower() in self._origins):
            return None
        allowed = b"*" if self._any else origin
        passage.lines.append(encode_fields(((b"access-control-allow-origin", allowed),)) + self._shared)
        if exchange.method == "OPTIONS" and b"access-control-request-method" in exchange.headers:
            passage.category = StatusCategory.SUCCESS
            passage.reply(204, self._preflight)
            return True
        return None
