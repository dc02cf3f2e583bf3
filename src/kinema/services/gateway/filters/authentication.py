"""Who asks: the session cookie of a browser or the bearer token of a script, verified by members (see sessions.py)."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar

from kinema.core.errors import Unauthenticated
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class Authentication:
    """Sets `passage.session`; raises Unauthenticated."""

    order: ClassVar[int] = 40
    deadline_seconds: ClassVar[float] = 6.0  # a call to members has five seconds

    def __init__(self, parts: "Parts") -> None:
        self._sessions = parts.sessions

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything that needs an identity."""
        del route
        return not opened

    def apply(self, passage: Passage) -> Awaitable[None] | None:
        """Believe what was verified within seconds, else have it verified."""
        secret = passage.reading.secret
        if not secret:
            raise Unauthenticated("Nobody is signed in; sign in, or send a bearer token.")
        session = self._sessions.fresh(secret)
        if session is None:
            return self._verify(passage, secret)
        passage.session = session
        return None

    async def _verify(self, passage: Passage, secret: bytes) -> None:
        passage.session = await self._sessions.verify(secret)
