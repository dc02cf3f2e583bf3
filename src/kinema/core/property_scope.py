"""Where an override of a property holds: the scope that an operator gives it, and the place that asks. Pure.

Of the overrides of one property those count that match the place and have not expired. Among them the most specific wins:

    instance  before  service  before  zone  before  region  before  everywhere

compared in this order, so that one for a service in a zone comes before one for the service. Among equals the one with the
smaller percentage wins, so that 10 % of a service's instances can try a value that the others do not have yet.

Which instances are the 10 %: each process draws a number from 0 to 100 by hashing the property's name and its own, once
and for all. A percentage that grows therefore only adds processes, none changes back and forth, and two properties do not
pick the same ones. With few instances it may be none of them; an override for one by name is the surer way then.
"""

import hashlib

import msgspec


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is given must match; nothing given is everywhere. `percent` is over 0 and at most 100."""

    instance: str = ""
    service: str = ""
    zone: str = ""
    region: str = ""
    percent: float = 100.0

    def __str__(self) -> str:
        """Return the scope as people read it, as in "gateway-1" or "10 % of catalog in zone b"."""
        words = f"{self.percent:g} % of " if self.percent < 100 else ""
        words += self.instance or self.service or ("instances" if words else "everywhere")
        if self.instance and self.service:
            words += f" of {self.service}"
        if self.zone:
            words += f" in zone {self.zone}"
        if self.region:
            words += f" in region {self.region}"
        return words


class Override(msgspec.Struct, frozen=True):
    """A value of the runtime layer. `expires_at` is in Unix seconds; None: until somebody takes it back."""

    name: str
    value: bool | int | float | str | tuple[str, ...]
    scope: Scope = Scope()
    expires_at: float | None = None


class Place(msgspec.Struct, frozen=True):
    """Who asks: a process with all the instances that it carries, or one of these. An instance answers to its process's name too."""

    process: str = ""
    services: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    zone: str = ""
    region: str = ""


def matches(override: Override, place: Place, now: float) -> bool:
    """Say whether an override holds at this place and time (Unix seconds)."""
    scope = override.scope
    return (
        (override.expires_at is None or now < override.expires_at)
        and (not scope.instance or scope.instance == place.process or scope.instance in place.instances)
        and (not scope.service or scope.service in place.services)
        and (not scope.zone or scope.zone == place.zone)
        and (not scope.region or scope.region == place.region)
        and (scope.percent >= 100 or draw(override.name, place.process) < scope.percent)
    )


def draw(name: str, process: str) -> float:
    """Return the number from 0 up to 100 that a process has drawn for a property."""
    drawn = hashlib.sha256(f"{name}\n{process}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") / 2**64 * 100


def weakness(override: Override) -> tuple[object, ...]:
    """Return the key that sorts a property's overrides, the most specific first."""
    scope = override.scope
    return not scope.instance, not scope.service, not scope.zone, not scope.region, scope.percent, str(scope)
