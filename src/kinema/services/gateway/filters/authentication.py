"""Who asks: the session cookie of a browser or the bearer token of a script, verified by members (see sessions.py)."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar

from kinema.core.errors import Unauthenticated
from kinema.http import Headers
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

COOKIE = b"kinema_session"


class Authentication:
    """Sets `passage.session`; raises Unauthenticated."""

    order: ClassVar[int] = 40

    def __init__(self, parts: "Parts") -> None:
        self._sessions = parts.sessions

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything that needs an identity."""
        del route
        return not opened

    def apply(self, passage: Passage) -> Awaitable[None] | None:
        """Believe what was verified within seconds, else have it verified."""
        headers = passage.exchange.headers
        secret = bearer_of(headers)
        if not secret:
            secret = cookie_of(headers)
            passage.by_cookie = True
        if not secret:
            raise Unauthenticated("Nobody is signed in; sign in, or send a bearer token.")
        passage.secret = secret
        session = self._sessions.fresh(secret)
        if session is None:
            return self._verify(passage, secret)
        passage.session = session
        return None

    async def _verify(self, passage: Passage, secret: bytes) -> None:
        passage.session = await self._sessions.verify(secret)


def bearer_of(headers: Headers) -> bytes:
    """Return the token of `Authorization: Bearer ...` (RFC 6750), or nothing."""
    value = headers.get(b"authorization")
    if value is None or value[:7].lower() != b"bearer ":
        return b""
    return value[7:].strip()


def cookie_of(headers: Headers) -> bytes:
    """Return the value of the session cookie (RFC 6265), or nothing."""
    if b"cookie" not in headers:
        return b""
    for line in headers.get_all(b"cookie"):
        for pair in line.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip() == COOKIE:
                return value.strip()
    return b""
