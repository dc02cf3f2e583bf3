"""Faults on purpose: the sealed header that the fault points on a request's way look for, here and behind us (core/faults.py).

A request may bring a header that this region has sealed; a forged or old one is as if it were not there. Beside that the operator may
configure rules, for a share of the requests. A rule may want a header, so that only who sends it is hit, or name accounts.
"""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from kinema.core import faults
from kinema.core.errors import Forbidden
from kinema.http import encode_fields
from kinema.services.gateway.config import FaultRule
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_SEALED_SECONDS = 60.0
_HEADER = faults.HEADER.encode()


class _Rule:
    def __init__(self, config: FaultRule, parts: "Parts") -> None:
        self.config = config
        self._parts = parts
        self._header = config.header.lower().encode()
        self._carried = faults.Carried((), b"")
        self._sealed_at = float("-inf")

    def wants(self, passage: Passage, draw: float) -> bool:
        """Say whether this request is hit."""
        config = self.config
        if self._header and self._header not in passage.exchange.headers:
            return False
        if config.accounts and (passage.session is None or passage.session.who.account not in config.accounts):
            return False
        return draw * 100.0 < config.percent

    def carried(self) -> faults.Carried:
        """Return the faults, sealed anew when half of their time is over."""
        clock = self._parts.clock
        now = clock.monotonic()
        if now - self._sealed_at > _SEALED_SECONDS / 2:
            sealed = faults.seal(self.config.faults, self._parts.keys, clock.now(), _SEALED_SECONDS)
            self._carried = faults.Carried(self.config.faults, sealed.encode())
            self._sealed_at = now
        return self._carried


class FaultInjection:
    """Sets `passage.faults`: those that the request brought, else those of the first rule that hits it."""

    order: ClassVar[int] = 80
    section: ClassVar[str] = "fault"

    def __init__(self, parts: "Parts", random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 (draws a sample, guards nothing)
        self._parts = parts
        self._rules: dict[str, list[_Rule]] = {}
        for config in parts.config.fault:
            self._rules.setdefault(config.prefix, []).append(_Rule(config, parts))

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All that is handed on to a service."""
        del opened
        return route.endpoint == "proxy"

    def apply(self, passage: Passage) -> None:
        """Hit, or leave alone."""
        brought = passage.reading.fault
        carried = None if brought is None else self._unsealed(brought)
        if carried is None and self._rules:
            for rule in self._rules.get(passage.lane.route.prefix, ()):
                if rule.wants(passage, self._random.random()):
                    carried = rule.carried()
                    break
        if carried is not None:
            passage.faults = carried
            passage.outgoing.append(encode_fields(((_HEADER, carried.sealed),)))

    def _unsealed(self, brought: bytes) -> faults.Carried | None:
        try:
            return faults.unseal(brought.decode("latin-1"), self._parts.keys, self._parts.clock.now())
        except Forbidden:
            return None
