"""After somebody signed out or sessions were ended, this gateway asks members again instead of believing its cache."""

from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.answer import Answer
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_SESSIONS = frozenset({"/v1/sessions", "/v1/account", "/v1/tokens"})


class SignOut:
    """Forgets the sessions that may have ended. The other gateways notice within ten seconds."""

    order: ClassVar[int] = 30

    def __init__(self, parts: "Parts") -> None:
        self._sessions = parts.sessions

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Where sessions and tokens end."""
        return route.prefix in _SESSIONS and not opened

    def apply(self, passage: Passage, answer: Answer) -> None:
        """Forget everything that was verified: it is asked again at the next request, once for each secret."""
        if passage.exchange.method in {"DELETE", "PUT"} and answer.status < 300:
            self._sessions.forget_all()
