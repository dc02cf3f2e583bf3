"""The sealed identity: what services believe of a request, signed by the gateway and valid for a minute."""

from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class SealedIdentity:
    """Adds x-kinema-identity; an inbound one was dropped with all x-kinema-* fields."""

    order: ClassVar[int] = 60

    def __init__(self, parts: "Parts") -> None:
        self._sessions = parts.sessions

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All that is handed on to a service for somebody."""
        return route.endpoint == "proxy" and not opened

    def apply(self, passage: Passage) -> None:
        """Seal who was authenticated."""
        if passage.session is not None:
            passage.outgoing.append(self._sessions.identity_line(passage.session))
