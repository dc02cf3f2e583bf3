"""A new version is tried on some requests: those with a header or cookie, or so many percent of the people who ask.

Whoever is chosen goes to the instances that a rule means (by version or metadata), and everybody else stays away from them. The
share is by account, or by address where nobody is signed in, so that one person is always on the same side. When no instance of
the wanted side is left, the request goes to the other: an answer of the other version is better than none.
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.config import Canary
from kinema.services.gateway.instances import Split, share
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.reading import cookie_value
from kinema.services.gateway.routes import ROUTES, Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_SERVICES = {route.prefix: route.service for route in ROUTES}


class _Rule:
    def __init__(self, config: Canary, parts: "Parts", service: str) -> None:
        self._split = Split(parts.rpc.directory.instances, service, config.instances)
        name, _, value = config.header.partition("=")
        self._header, self._header_value = name.strip().lower().encode(), value.strip().encode()
        name, _, value = config.cookie.partition("=")
        self._cookie, self._cookie_value = name.strip().encode(), value.strip().encode()
        self._percent = config.percent
        self._salt = f"{config.prefix} {config.instances}"

    def apply(self, passage: Passage) -> None:
        """Keep the request away from one of the sides."""
        meant, others = self._split.now()
        if meant and others:
            passage.avoid = (*passage.avoid, *(others if self._chosen(passage) else meant))

    def _chosen(self, passage: Passage) -> bool:
        headers = passage.exchange.headers
        if self._header:
            value = headers.get(self._header)
            if value is not None and self._header_value in {b"", value}:
                return True
        if self._cookie:
            value = cookie_value(headers, self._cookie)
            if value and self._cookie_value in {b"", value}:
                return True
        if not self._percent:
            return False
        key = passage.session.who.account if passage.session is not None else passage.client
        return share(key, self._salt) < self._percent


class CanaryRouting:
    """Applies the rules of a route, in their order."""

    order: ClassVar[int] = 70
    section: ClassVar[str] = "canary"

    def __init__(self, parts: "Parts") -> None:
        self._rules: dict[str, list[_Rule]] = {}
        for config in parts.config.canary:
            service = _SERVICES.get(config.prefix)
            if not service:
                raise ValueError(f"canary: no service answers at {config.prefix}; use a prefix of the gateway's routes")
            self._rules.setdefault(config.prefix, []).append(_Rule(config, parts, service))

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Routes with a rule."""
        del opened
        return route.prefix in self._rules

    def apply(self, passage: Passage) -> None:
        """Choose a side for each rule."""
        for rule in self._rules[passage.lane.route.prefix]:
            rule.apply(passage)
