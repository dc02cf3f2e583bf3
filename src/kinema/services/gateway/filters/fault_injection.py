"""Faults on purpose, for a share of the requests: the sealed header that the fault points behind us look for (core/faults.py).

Off unless the operator configures a rule. A rule may want a header, so that only who sends it is hit, or name accounts.
"""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from kinema.core import faults
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
        self._line = b""
        self._sealed_at = float("-inf")

    def wants(self, passage: Passage, draw: float) -> bool:
        """Say whether this request is hit."""
        config = self.config
        if self._header and self._header not in passage.exchange.headers:
            return False
        if config.accounts and (passage.session is None or passage.session.who.account not in config.accounts):
            return False
        return draw * 100.0 < config.percent

    def line(self) -> bytes:
        """Return the encoded header, sealed anew when half of its time is over."""
        clock = self._parts.clock
        now = clock.monotonic()
        if now - self._sealed_at > _SEALED_SECONDS / 2:
            sealed = faults.seal(self.config.faults, self._parts.keys, clock.now(), _SEALED_SECONDS)
            self._line = encode_fields(((_HEADER, sealed.encode()),))
            self._sealed_at = now
        return self._line


class FaultInjection:
    """Adds the header of the first rule that hits a request."""

    order: ClassVar[int] = 80
    section: ClassVar[str] = "fault"

    def __init__(self, parts: "Parts", random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 (draws a sample, guards nothing)
        self._rules: dict[str, list[_Rule]] = {}
        for config in parts.config.fault:
            self._rules.setdefault(config.prefix, []).append(_Rule(config, parts))

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Routes with a rule."""
        del opened
        return route.prefix in self._rules and route.endpoint == "proxy"

    def apply(self, passage: Passage) -> None:
        """Hit, or leave alone."""
        for rule in self._rules[passage.lane.route.prefix]:
            if rule.wants(passage, self._random.random()):
                passage.outgoing.append(rule.line())
                return
