"""The filters: one file each, one row each in these tables. A filter says when it runs, for which routes, and what it does.

Inbound filters see a request before its endpoint. They run in their order, on the fast path as plain calls: `apply` returns
None, or raises a KinemaError that becomes the answer, or returns an awaitable when it has to wait. Outbound filters may
add to the head of an answer, before its first byte.
"""

import importlib
from collections.abc import Awaitable
from typing import Any, ClassVar, Protocol

from kinema.core.clock import Clock
from kinema.services.gateway.passage import Apply, ApplyOutbound, Passage
from kinema.services.gateway.routes import Route
from kinema.services.gateway.sessions import Sessions

INBOUND = (
    "forwarded.Forwarded",
    "request_id.RequestId",
    "plain_path.PlainPath",
    "body_limit.BodyLimit",
    "authentication.Authentication",
    "origin.Origin",
    "identity.SealedIdentity",
)
OUTBOUND = (
    "security_headers.SecurityHeaders",
    "cross_origin.CrossOrigin",
    "request_id_echo.RequestIdEcho",
    "sign_out.SignOut",
)


class Parts:
    """What filters may use."""

    def __init__(self, *, sessions: Sessions, clock: Clock, trust_forwarded: bool) -> None:
        self.sessions = sessions
        self.clock = clock
        self.trust_forwarded = trust_forwarded


class Inbound(Protocol):
    """A filter before the endpoint; made with the `Parts` of the gateway."""

    order: ClassVar[int]

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Say, once at the start, whether requests on this route pass here; `opened`: those that need no identity."""
        ...

    def apply(self, passage: Passage) -> Awaitable[None] | None:
        """Look at a request."""
        ...


class Outbound(Protocol):
    """A filter before the head of an answer is sent."""

    order: ClassVar[int]

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """As for `Inbound`."""
        ...

    def apply(self, passage: Passage, status: int, lines: list[bytes]) -> None:
        """Add encoded header lines (`encode_fields`) to the head of an answer."""
        ...


class Filters:
    """The filters of one gateway, in their order."""

    def __init__(self, parts: Parts, inbound: tuple[str, ...] = INBOUND, outbound: tuple[str, ...] = OUTBOUND) -> None:
        self._inbound: list[Inbound] = sorted((_load(row, parts) for row in inbound), key=_order)
        self._outbound: list[Outbound] = sorted((_load(row, parts) for row in outbound), key=_order)

    def inbound(self, route: Route, *, opened: bool) -> tuple[Apply, ...]:
        """Return what requests on this route pass through."""
        return tuple(one.apply for one in self._inbound if one.applies_to(route, opened=opened))

    def outbound(self, route: Route, *, opened: bool) -> tuple[ApplyOutbound, ...]:
        """Return what answers on this route pass through."""
        return tuple(one.apply for one in self._outbound if one.applies_to(route, opened=opened))


def _load(row: str, parts: Parts) -> Any:
    module, _, name = row.rpartition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)(parts)


def _order(one: Inbound | Outbound) -> int:
    return one.order
