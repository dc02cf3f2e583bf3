"""A request whose announced body is too large is refused before anything is asked or read.

A body of unannounced length is counted while it passes (`Exchange.read_body`) and cut off at the same limit.
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.core.errors import TooLarge
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class BodyLimit:
    """Compares Content-Length with the route's limit."""

    order: ClassVar[int] = 30
    by_head: ClassVar[bool] = True

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All that is handed on to a service."""
        del opened
        return route.endpoint == "proxy"

    def apply(self, passage: Passage) -> None:
        """Raise TooLarge over the limit."""
        announced = passage.exchange.body_length
        limit = passage.lane.route.body_bytes
        if announced and limit is not None and announced > limit:
            raise TooLarge(f"The body has {announced} bytes; at most {limit} are taken here.")
