"""An instance's status, and the rules by which the registry may know it better than the instance.

    1  the instance says DOWN, STARTING or UNKNOWN   believed: it knows best when it cannot serve
    2  an operator has overridden the status         the override
    3  a heartbeat or registration of its own, and   what its lease has: the instance must not undo by itself what
       its lease is UP or OUT_OF_SERVICE             was decided here (a replicated one may: the peer has decided)
    4  otherwise                                     what it says

First match wins. Source: Eureka's DownOrStartingRule, OverrideExistsRule, LeaseExistsRule and AlwaysMatchInstanceStatusRule
in the order of its PeerAwareInstanceRegistryImpl.
"""

UP = "UP"
DOWN = "DOWN"
STARTING = "STARTING"
OUT_OF_SERVICE = "OUT_OF_SERVICE"
UNKNOWN = "UNKNOWN"
STATUSES = frozenset({UP, DOWN, STARTING, OUT_OF_SERVICE, UNKNOWN})

_QUESTIONED = (UP, OUT_OF_SERVICE)


def effective(said: str, override: str | None, leased: str | None, *, replicated: bool) -> str:
    """Return the status that holds for an instance.

    `said` is what the instance says, `leased` what its lease had until now; None: there is no override, no lease.
    """
    if said not in _QUESTIONED:
        return said
    if override is not None:
        return override
    if not replicated and leased in _QUESTIONED:
        return str(leased)
    return said


def parse(text: object) -> str:
    """Return the status that a text means; UNKNOWN when it means none, as Eureka reads it."""
    status = str(text).upper()
    return status if status in STATUSES else UNKNOWN
