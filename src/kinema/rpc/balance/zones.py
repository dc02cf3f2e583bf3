"""Zone-aware balancing: stay in the own zone while it has room, as the way to another zone is longer and costs money.

    U(zone)      its share of the usable instances            C(zone)   its share of the callers
    U(own) >= C(own)     everything stays: the zone has at least its part of the capacity
    else                 U(own) / C(own) stays; the rest goes to zones with more capacity than callers, by how much more
    busy                 from 80 % reported utilisation on, if the others report less, up to all of what an even spread
                         would send away goes away
    nobody usable        everything goes away, by the number of usable instances

An instance that is ejected or avoided is not usable, so a zone that is ill sends away exactly the part that it lacks. The
shares are those of Envoy's zone aware routing; Eureka's and Ribbon's zone affinity is the first line.
"""

from collections.abc import Mapping
from typing import NamedTuple

_BUSY_FROM = 0.8
_EPSILON = 1e-9


class Zone(NamedTuple):
    """The usable instances of a zone, and the mean utilisation from 0 to 1 that they report."""

    usable: int
    utilisation: float = 0.0


def shares(own: str, zones: Mapping[str, Zone], callers: Mapping[str, int]) -> dict[str, float]:
    """Return which part of the own zone's requests goes to each zone; the parts add up to 1, zones with none are left out.

    `callers` counts the callers in each zone; where nothing is known they are taken to be spread evenly. Empty when no
    zone has a usable instance.
    """
    usable = {name: zone.usable for name, zone in zones.items() if zone.usable > 0}
    total = sum(usable.values())
    if own not in usable:
        return {name: count / total for name, count in usable.items()}
    capacity = {name: count / total for name, count in usable.items()}
    calls = _calls(own, zones, callers)
    stays = min(1.0, capacity[own] / calls[own])
    stays = _less_when_busy(own, zones, capacity, stays)
    found = {own: stays}
    if stays < 1.0 - _EPSILON:
        room = {name: max(0.0, part - calls.get(name, 0.0)) for name, part in capacity.items() if name != own}
        if sum(room.values()) <= _EPSILON:
            room = {name: part for name, part in capacity.items() if name != own}
        spare = sum(room.values())
        found |= {name: (1.0 - stays) * part / spare for name, part in room.items() if part > _EPSILON}
    return found


def _calls(own: str, zones: Mapping[str, Zone], callers: Mapping[str, int]) -> dict[str, float]:
    known = {name: count for name, count in callers.items() if count > 0}
    if own not in known:
        known = dict.fromkeys({own, *zones}, 1)
    total = sum(known.values())
    return {name: count / total for name, count in known.items()}


def _less_when_busy(own: str, zones: Mapping[str, Zone], capacity: Mapping[str, float], stays: float) -> float:
    """Return the part that stays when the own zone is busier than the others."""
    others = [zone for name, zone in zones.items() if name != own and zone.usable > 0]
    mine = zones[own].utilisation
    if not others or mine <= _BUSY_FROM or stays <= capacity[own]:
        return stays
    theirs = sum(zone.utilisation * zone.usable for zone in others) / sum(zone.usable for zone in others)
    if theirs >= mine:
        return stays
    over = min(1.0, (mine - _BUSY_FROM) / (1.0 - _BUSY_FROM))
    return stays - (stays - capacity[own]) * over
