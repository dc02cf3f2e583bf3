"""A filter in its place: where it comes from, what it may, and how often it went wrong."""

from collections.abc import Callable
from typing import Any

from kinema.core.errors import DeadlineExceeded, KinemaError
from kinema.core.log import get_logger
from kinema.model.gateway import FilterKind, FilterState, FilterStatus
from kinema.services.gateway.routes import Route

DEADLINE_SECONDS = 1.0
"""How long a filter may wait, unless it says otherwise by a member `deadline_seconds`."""

_log = get_logger(__name__)


class Installed:
    """`apply` is called with each request or answer of the routes for which `applies_to` was true.

    `by_head`: what it says follows from method, target and fields alone, and it changes nothing; so what passed it once is
    not shown to it again. `source` is "built-in" or the name of the operator's file, `digest` the SHA-256 of that file's contents.
    """

    __slots__ = (
        "applies_to",
        "apply",
        "by_head",
        "deadline_seconds",
        "digest",
        "failures",
        "kind",
        "last_failure",
        "name",
        "order",
        "route",
        "source",
        "timeouts",
    )

    def __init__(self, name: str, kind: FilterKind, one: Any, *, source: str = "built-in", digest: str = "") -> None:
        self.name = name
        self.kind: FilterKind = kind
        self.order: int = one.order
        self.source = source
        self.digest = digest
        self.route: Route | None = getattr(one, "route", None)
        self.deadline_seconds = float(getattr(one, "deadline_seconds", DEADLINE_SECONDS))
        self.by_head = bool(getattr(one, "by_head", False))
        self.apply: Any = one.apply
        self.applies_to: Callable[..., bool] = one.applies_to
        self.failures = 0
        self.timeouts = 0
        self.last_failure = ""

    def failed(self, error: BaseException) -> None:
        """Count an error that is no refusal, and say so in the log."""
        if isinstance(error, DeadlineExceeded):
            self.timeouts += 1
        elif isinstance(error, KinemaError):
            return
        else:
            self.failures += 1
        self.last_failure = f"{type(error).__name__}: {error}"[:300]
        _log.error("a filter failed", filter=self.name, source=self.source, error=self.last_failure)

    def status(self, state: FilterState = "running", problem: str = "") -> FilterStatus:
        """Describe it."""
        return FilterStatus(
            name=self.name,
            kind=self.kind,
            order=self.order,
            source=self.source,
            state=state,
            problem=problem,
            digest=self.digest,
            failures=self.failures,
            timeouts=self.timeouts,
            last_failure=self.last_failure,
        )
