"""How long a service may take and how large a body may be, on routes that say nothing of their own. Operators change both while the gateway runs."""

import msgspec

from kinema.core.properties import Properties, Property, between
from kinema.services.gateway.routes import BY_PROPERTY, Route

TIMEOUT = Property(
    "gateway.timeout",
    30.0,
    "How long a service has for its answer, in seconds, on routes that have no time of their own.",
    between(0.1, 600),
)
BODY_LIMIT = Property(
    "gateway.body_limit",
    1 << 20,
    "The largest body of a request, in bytes, on routes that have no limit of their own.",
    between(0, 1 << 30),
)


class RouteLimits:
    """Completes routes by the properties as they are now; `upload_limit_bytes` is the setting for films."""

    def __init__(self, properties: Properties, upload_limit_bytes: int) -> None:
        self.properties = properties
        self._upload_limit_bytes = upload_limit_bytes

    def complete(self, route: Route) -> Route:
        """Return the route with every limit that it leaves open."""
        body_bytes = route.body_bytes
        if body_bytes is None:
            body_bytes = self._upload_limit_bytes
        elif body_bytes == BY_PROPERTY:
            body_bytes = self.properties[BODY_LIMIT]
        seconds = self.properties[TIMEOUT] if route.seconds == BY_PROPERTY else route.seconds
        return msgspec.structs.replace(route, seconds=seconds, body_bytes=body_bytes)
