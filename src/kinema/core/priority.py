"""How much a request matters when not all can be served: what is cut first, and what last.

CRITICAL      a viewer waits for it and nothing works without it: starting a play, a manifest, signing in
DEGRADED      a viewer waits for it and something simpler would do: the home page, a search
BEST_EFFORT   nobody would notice at once: a bookmark, an event, a picture that is fetched ahead
BULK          nobody waits: maintenance, an import, another service's background work

The classes are those of Netflix's "Keeping Netflix Reliable Using Prioritized Load Shedding" (2020). The gateway gives each
request its class, clients may lower theirs, and rpc passes it on with every call that is made for the request.
"""

from contextvars import ContextVar
from enum import IntEnum

HEADER = "x-kinema-priority"


class Priority(IntEnum):
    """The smaller, the later it is cut."""

    CRITICAL = 0
    DEGRADED = 1
    BEST_EFFORT = 2
    BULK = 3

    @property
    def header(self) -> bytes:
        """The value for the header: the name in lower case."""
        return _VALUES[self]


_VALUES = tuple(one.name.lower().encode() for one in Priority)
_BY_VALUE = dict(zip(_VALUES, Priority, strict=True))

current: ContextVar[Priority] = ContextVar("priority", default=Priority.DEGRADED)
"""The class of the request being served; a call that no request has caused is DEGRADED unless its maker says otherwise."""


def priority_of(value: bytes | None) -> Priority | None:
    """Return the class of a header value; None for one that is missing or means nothing."""
    return None if value is None else _BY_VALUE.get(value)


def lowered(own: Priority, wished: Priority | None) -> Priority:
    """Return the class of a request whose sender wishes another: the one that is cut sooner."""
    return own if wished is None or wished < own else wished
