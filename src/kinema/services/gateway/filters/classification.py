"""How much a request matters: the class of its route, lower if its sender says so.

A browser marks what it fetches ahead with `Sec-Purpose: prefetch` (Fetch standard), our player and scripts say
`x-kinema-priority: bulk`. Nobody can raise the class of a request by a header.
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.core.priority import HEADER, Priority
from kinema.http import encode_fields
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_LINES = {one: encode_fields(((HEADER.encode(), one.header),)) for one in Priority}


class Classification:
    """Sets `passage.priority`, and tells the service."""

    order: ClassVar[int] = 33

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All that is handed on to a service."""
        del opened
        return route.endpoint == "proxy"

    def apply(self, passage: Passage) -> None:
        """Take the lower of the two classes."""
        own = passage.lane.route.priority
        wished = passage.reading.priority
        if wished is not None and wished > own:
            own = wished
        passage.priority = own
        passage.outgoing.append(_LINES[own])
