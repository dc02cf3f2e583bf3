"""Requests with the same key go to the same instance, as long as it is there: for what an instance keeps warm in its memory.

The key is the account, the address, a header or a cookie. A client without the cookie gets one. When instances come or go, only the
keys of those move. An instance that fails is passed over as always, so nothing may depend on stickiness but speed.
"""

import secrets
from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.services.gateway.config import Sticky
from kinema.services.gateway.instances import others_than_own
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.reading import cookie_value
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class StickyRouting:
    """Keeps a request away from the instances that are not its own."""

    order: ClassVar[int] = 72
    section: ClassVar[str] = "sticky"

    def __init__(self, parts: "Parts") -> None:
        self._instances = parts.rpc.directory.instances
        self._rules = {rule.prefix: rule for rule in parts.config.sticky}

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Routes with a rule."""
        del opened
        return route.prefix in self._rules and route.endpoint == "proxy"

    def apply(self, passage: Passage) -> None:
        """Find the instance that is this request's own."""
        key = self._key(passage, self._rules[passage.lane.route.prefix])
        if not key:
            return
        instances = self._instances(passage.lane.route.service)
        if passage.avoid:
            instances = tuple(one for one in instances if one.address not in passage.avoid) or instances
        passage.avoid = (*passage.avoid, *others_than_own(instances, key))

    def _key(self, passage: Passage, rule: Sticky) -> str:
        by, _, name = rule.by.partition(":")
        if by == "account":
            return passage.session.who.account if passage.session is not None else ""
        if by == "address":
            return passage.client
        headers = passage.exchange.headers
        if by == "header":
            return (headers.get(name.lower().encode()) or b"").decode("latin-1")
        found = cookie_value(headers, name.encode())
        if not found:
            found = secrets.token_urlsafe(12).encode()
            cookie = b"%b=%b; Path=/; HttpOnly; SameSite=Lax" % (name.encode(), found)
            cookie += b"; Secure" if passage.proto == b"https" else b""
            passage.lines.append(encode_fields(((b"set-cookie", cookie),)))
        return found.decode("latin-1")
