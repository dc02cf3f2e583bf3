"""Deterministic subsetting: of many instances each caller uses a few, so that connections do not grow as callers x instances.

    the ring       instances stand on a ring of length 1 in the order of a hash of their name, each with an equal arc
    a caller       is the n-th of N (by name), and uses the arc from n/N on, as long as LEAST instances, rounded up to
                   whole N-ths: so every point of the ring is covered equally often, and every instance gets an equal part
    an edge        an instance that lies only partly in the arc is used with that part as its weight

When an instance comes or goes the others move by less than their own arc, so a caller's set changes by about one; when a
caller comes or goes arcs move by less than 1/N. This is Twitter's deterministic aperture ("Deterministic Aperture: A
distributed, load balancing algorithm", 2019); the even cover is what random subsets lack (Google's SRE book, chapter 20).
"""

import hashlib
import math
from collections.abc import Sequence

LEAST = 12
_WHOLE = 1e-9


def order(names: Sequence[str]) -> list[int]:
    """Return the indices of the names in the order of the ring."""
    return sorted(range(len(names)), key=lambda index: (_hash(names[index]), names[index]))


def arc(caller: int, callers: int, instances: int, least: int = LEAST) -> tuple[float, float]:
    """Return where the arc of the n-th caller (from 0) begins and how long it is; (0, 1) is everybody."""
    if instances <= least or callers < 1:
        return 0.0, 1.0
    wide = math.ceil(least / instances * callers - _WHOLE)
    return caller / callers, min(1.0, max(1, wide) / callers)


def covered(begin: float, length: float, instances: int) -> list[tuple[int, float]]:
    """Return the places on the ring that an arc touches, each with the part of it that lies inside (more than 0, at most 1)."""
    if length >= 1.0:
        return [(place, 1.0) for place in range(instances)]
    first, last = begin * instances, (begin + length) * instances
    found: dict[int, float] = {}  # an arc of nearly the whole ring may end where it began
    for place in range(math.floor(first), math.ceil(last)):
        part = min(last, place + 1.0) - max(first, float(place))
        if part > _WHOLE:
            found[place % instances] = min(1.0, found.get(place % instances, 0.0) + part)
    return list(found.items())


def position(name: str, callers: Sequence[str]) -> int | None:
    """Return which of the callers this is, counted by name, or None."""
    ordered = sorted(callers)
    return ordered.index(name) if name in callers else None


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()
