"""The filters: one file each, one row each in these tables. A filter says when it runs, for which routes, and what it does.

Inbound filters see a request before its endpoint. They run in their order, on the fast path as plain calls: `apply` returns
None to let the request go on, True when it has answered it, or an awaitable of either when it has to wait; a KinemaError that
it raises becomes the answer. Outbound filters may change an answer, before its first byte (answer.py). Endpoints answer.

An operator's own filters are of the same form, in files of their own (own_filters.py).
"""

import importlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol

from kinema.core.clock import Clock
from kinema.core.keys import KeyRing
from kinema.model.gateway import FilterKind
from kinema.model.shedding import SheddingState
from kinema.rpc.client import Rpc
from kinema.services.gateway.answer import Answer
from kinema.services.gateway.config import GatewayConfig
from kinema.services.gateway.installed import Installed
from kinema.services.gateway.passage import Apply, ApplyOutbound, Passage
from kinema.services.gateway.routes import Route
from kinema.services.gateway.sessions import Sessions

INBOUND = (
    "passport.PassportBegin",
    "forwarded.Forwarded",
    "cors.CrossOriginSharing",
    "rate_limit.AddressRate",
    "request_id.RequestId",
    "plain_path.PlainPath",
    "body_limit.BodyLimit",
    "classification.Classification",
    "shedding.Shedding",
    "authentication.Authentication",
    "rate_limit.AccountRate",
    "origin.Origin",
    "identity.SealedIdentity",
    "response_cache.ResponseCache",
    "canary.CanaryRouting",
    "sticky.StickyRouting",
    "fault_injection.FaultInjection",
    "shadow.ShadowTraffic",
)
OUTBOUND = (
    "security_headers.SecurityHeaders",
    "cross_origin.CrossOrigin",
    "request_id_echo.RequestIdEcho",
    "sign_out.SignOut",
    "compression.Compression",
    "passport.PassportEnd",
)


class Parts:
    """What filters may use. `config` is that of the moment in which the filter is made; `data_dir` None: nothing is kept."""

    def __init__(
        self,
        *,
        rpc: Rpc,
        keys: KeyRing,
        sessions: Sessions,
        clock: Clock,
        trust_forwarded: bool,
        config: GatewayConfig,
        data_dir: Path | None = None,
    ) -> None:
        self.rpc = rpc
        self.keys = keys
        self.sessions = sessions
        self.clock = clock
        self.trust_forwarded = trust_forwarded
        self.config = config
        self.data_dir = data_dir
        self.shedding: Callable[[], SheddingState] | None = None
        """What the filter `shedding` tells of itself, when it is among the filters."""


class Inbound(Protocol):
    """A filter before the endpoint; made with the `Parts` of the gateway."""

    order: ClassVar[int]

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Say, once at the start, whether requests on this route pass here; `opened`: those that need no identity."""
        ...

    def apply(self, passage: Passage) -> Awaitable[bool | None] | bool | None:
        """Look at a request."""
        ...


class Outbound(Protocol):
    """A filter before the head of an answer is sent."""

    order: ClassVar[int]

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """As for `Inbound`."""
        ...

    def apply(self, passage: Passage, answer: Answer) -> Awaitable[None] | None:
        """Change an answer."""
        ...


class BuiltIn:
    """The filters of these tables. Those that a section of the configuration concerns have its name as `section`."""

    def __init__(self, parts: Parts, inbound: tuple[str, ...] = INBOUND, outbound: tuple[str, ...] = OUTBOUND) -> None:
        self._rows: list[tuple[FilterKind, str]] = [
            *(("inbound", row) for row in inbound),
            *(("outbound", row) for row in outbound),
        ]
        self._made: list[Any] = [_make(row, parts) for _, row in self._rows]
        self._config = parts.config
        self.installed: tuple[Installed, ...] = ()
        self._install()

    def reconfigure(self, parts: Parts) -> None:
        """Make those filters anew whose section has changed; the others keep what they have counted and cached."""
        for place, (_, row) in enumerate(self._rows):
            section = getattr(self._made[place], "section", "")
            if section and getattr(parts.config, section) != getattr(self._config, section):
                self._made[place] = _make(row, parts)
        self._config = parts.config
        self._install()

    async def close(self) -> None:
        """Close what filters hold."""
        for one in self._made:
            if hasattr(one, "close"):
                await one.close()

    def _install(self) -> None:
        kept = {one.apply: one for one in self.installed}
        self.installed = tuple(
            kept.get(one.apply) or Installed(row.partition(".")[0], kind, one)
            for (kind, row), one in zip(self._rows, self._made, strict=True)
        )


class Filters:
    """All filters that run, in their order; made anew when one changes."""

    def __init__(self, installed: Iterable[Installed]) -> None:
        self.installed = tuple(sorted(installed, key=lambda one: one.order))
        self.by_apply: dict[Any, Installed] = {one.apply: one for one in self.installed}

    def inbound(self, route: Route, *, opened: bool) -> tuple[Apply, ...]:
        """Return what requests on this route pass through."""
        return tuple(one.apply for one in self._of("inbound", route, opened=opened))

    def again(self, route: Route, *, opened: bool) -> tuple[Apply, ...]:
        """Return what requests pass whose like has passed before: all but what looks at nothing but the head."""
        return tuple(one.apply for one in self._of("inbound", route, opened=opened) if not one.by_head)

    def outbound(self, route: Route, *, opened: bool) -> tuple[ApplyOutbound, ...]:
        """Return what answers on this route pass through."""
        return tuple(one.apply for one in self._of("outbound", route, opened=opened))

    def endpoint(self, route: Route, *, opened: bool) -> Apply | None:
        """Return the operator's endpoint that answers on this route, if there is one."""
        return next((one.apply for one in self._of("endpoint", route, opened=opened)), None)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes that endpoints bring along."""
        return tuple(one.route for one in self.installed if one.kind == "endpoint" and one.route is not None)

    def _of(self, kind: str, route: Route, *, opened: bool) -> list[Installed]:
        found = []
        for one in self.installed:
            if one.kind != kind or (one.route is not None and one.route != route):
                continue
            try:
                if one.applies_to(route, opened=opened):
                    found.append(one)
            except Exception as error:  # noqa: BLE001 (an operator's mistake leaves his filter out, and nothing else)
                one.failed(error)
        return found


def _make(row: str, parts: Parts) -> Any:
    module, _, name = row.rpartition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)(parts)
