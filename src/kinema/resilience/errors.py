"""How a call is turned away before anything was done for it.

KinemaError
├── Unavailable 503
│   └── Refused            nothing was begun, so the call may be made elsewhere, whatever it does
│       ├── CircuitOpen    the breaker is open
│       ├── LimitReached   as many calls are under way as the adaptive limit allows
│       └── BulkheadFull   all places are taken, those in the queue too
└── TooMany 429
    └── RateLimited        more calls than were agreed; `retry_after` says when there is room again

None has a code of its own: on the wire they are their parents. A caller must not take the refusal that a service met with
for one of its own parts, of which alone it is certain that nothing was begun.
"""

from kinema.core.errors import TooMany, Unavailable


class Refused(Unavailable):
    """A part of this process turned the call away; nothing was sent."""


class CircuitOpen(Refused):
    """Too many of the last calls failed or were slow."""


class LimitReached(Refused):
    """As many calls are under way as the adaptive limit allows."""


class BulkheadFull(Refused):
    """All places and all places of the queue are taken."""


class RateLimited(TooMany):
    """The rate that was agreed is used up. `retry_after`: seconds until the same call would pass."""

    def __init__(self, detail: str, *, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
