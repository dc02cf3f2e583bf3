"""Setting, taking back and rolling back values of properties, and saying what holds where.

A value is checked against the property's declaration before it is stored, so no process ever sees one that it would refuse.
For one scope (an instance, a service, a zone, a region, everywhere) there is at most one value for all and one for a
percentage, which is how a value is tried on a few first. Who changes a property may say which state of it they have seen
(If-Match); when somebody else was faster, nothing is changed.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import msgspec

from kinema.core import log
from kinema.core.clock import Clock
from kinema.core.errors import BadInput, KinemaError, NotFound, PreconditionFailed
from kinema.core.identity import Identity
from kinema.core.properties import Properties, Property
from kinema.core.property_scope import Place, Scope, matches, weakness
from kinema.model.configuration import (
    Action,
    AuditEntry,
    Kind,
    PropertyChange,
    PropertyList,
    PropertyState,
    RuntimeLayer,
    SetOverride,
    Setting,
)
from kinema.model.discovery import Instance
from kinema.model.members import Who
from kinema.services.configuration.repository import Change, ChangeRow, ConfigurationRepository, Held, OverrideRow

T = TypeVar("T")

_KINDS: dict[type, Kind] = {bool: "flag", int: "whole number", float: "number", str: "text", tuple: "list"}
_SHOWN_INSTANCES = 50
_NAME_SECONDS = 1.0  # how long a change waits for the name of who makes it
_SWEEP_SECONDS = 5.0
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_logger = log.get_logger(__name__)


class Calls(Protocol):
    """The part of rpc that configuration needs: one call to another service."""

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        type: type[T],  # noqa: A002 -- rpc's name for it
        identity: Identity | None = None,
        deadline_seconds: float = 5.0,
    ) -> T:
        """Return the answer; a problem is raised as the matching core error."""
        ...


class Directory(Protocol):
    """The part of discovery that configuration needs: who is there."""

    def everybody(self) -> tuple[Instance, ...]:
        """Return the live instances of all services."""
        ...


class Configuration:
    """The properties of the region. `properties` are this process's own, for what its file and environment say."""

    def __init__(
        self,
        repository: ConfigurationRepository,
        declared: Callable[[], Mapping[str, Property[Any]]],
        properties: Properties,
        clock: Clock,
        calls: Calls,
        directory: Directory,
    ) -> None:
        self._repository = repository
        self._declared = declared
        self._properties = properties
        self._clock = clock
        self._calls = calls
        self._directory = directory
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write into the trail what ends by itself."""
        self._sweeping = asyncio.create_task(self._sweep(), name="configuration-sweep")

    async def stop(self) -> None:
        """Stop that."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def mark(self) -> str:
        """Return what changes whenever an override does."""
        return await self._repository.mark()

    async def layer(self) -> tuple[str, RuntimeLayer]:
        """Return the runtime layer that processes follow, and its mark."""
        mark, rows = await self._repository.layer()
        now = self._clock.now()
        live = tuple(row.override() for row in rows if row.held.expires_at is None or row.held.expires_at > now)
        return mark, RuntimeLayer(live)

    async def properties(self) -> PropertyList:
        """Return every property, by name."""
        declared = tuple((await self._all()).values())
        return PropertyList(await self._states(declared), self._properties.unknown(declared))

    async def property(self, name: str) -> PropertyState:
        """Return one property. Raises NotFound."""
        (state,) = await self._states((await self._one(name),))
        return state

    async def set(self, name: str, wanted: PropertyChange, if_match: str, identity: Identity) -> PropertyState:
        """Set a value. Raises NotFound, PropertyRefused, BadInput for a scope that means nothing, PreconditionFailed, Conflict."""
        declared = await self._one(name)
        scope = _checked(wanted.scope)
        now = self._clock.now()
        expires_at = None if wanted.expires_in is None else now + wanted.expires_in
        held = Held(declared.accept(wanted.value), scope.percent, expires_at)
        await self._apply(name, scope, held, "set", wanted.reason, if_match, identity)
        return await self.property(name)

    async def unset(self, name: str, scope: Scope, reason: str, if_match: str, identity: Identity) -> PropertyState:
        """Take back a value. Raises NotFound when none is set for the scope, PreconditionFailed."""
        await self._one(name)
        await self._apply(name, _checked(scope), None, "unset", reason, if_match, identity)
        return await self.property(name)

    async def roll_back(self, entry: int, reason: str, if_match: str, identity: Identity) -> PropertyState:
        """Put back what held before a change, in its scope; later changes there are undone with it.

        A value that would have expired meanwhile is not put back. Raises NotFound when there is no such change or its
        property is not declared any more, PropertyRefused when the old value is not accepted any more, PreconditionFailed.
        """
        change = await self._repository.change(entry)
        declared = await self._one(change.name)
        held = change.old
        if held is not None and held.expires_at is not None and held.expires_at <= self._clock.now():
            held = None
        if held is not None:
            held = msgspec.structs.replace(held, value=declared.accept(held.value))
        because = reason or f"as before change {entry}"
        try:
            await self._apply(change.name, change.scope, held, "rolled back", because, if_match, identity)
        except NotFound:
            if held is not None:
                raise  # nothing was there before, and nothing is there now
        return await self.property(change.name)

    async def trail(self, name: str, before: int | None, limit: int) -> tuple[AuditEntry, ...]:
        """Return changes, the newest first, of all properties unless a name is given."""
        await self._repository.sweep(self._clock.now())
        return tuple(_entry(row) for row in await self._repository.changes(name, before, limit))

    async def _apply(
        self,
        name: str,
        scope: Scope,
        held: Held | None,
        action: Action,
        reason: str,
        if_match: str,
        identity: Identity,
    ) -> None:
        who = await self._name_of(identity)
        change = Change(name, scope, held, self._clock.now(), who, action, reason)

        def condition(revision: int) -> None:
            if if_match and not _names(if_match, revision):
                raise PreconditionFailed(f"{name} was changed by somebody else meanwhile; look at it and decide again.")

        if await self._repository.apply(change, condition):
            value = None if held is None else held.value
            _logger.info("property changed", property=name, scope=str(scope), value=value, who=who, reason=reason)

    async def _name_of(self, identity: Identity) -> str:
        """Return what people call whoever asks, else the account."""
        if identity.role == "service":
            return identity.account
        try:
            who = await self._calls.call(
                "members", "GET", "/v1/session", type=Who, identity=identity, deadline_seconds=_NAME_SECONDS
            )
        except KinemaError:  # the change matters more than the name
            return identity.account
        return who.name or identity.account

    async def _all(self) -> Mapping[str, Property[Any]]:
        return await asyncio.to_thread(self._declared)

    async def _one(self, name: str) -> Property[Any]:
        found = (await self._all()).get(name)
        if found is None:
            raise NotFound(f"There is no property {name[:100]!r}; `kinema property list` shows all.")
        return found

    async def _states(self, wanted: tuple[Property[Any], ...]) -> tuple[PropertyState, ...]:
        _, rows = await self._repository.layer()
        revisions = await self._repository.revisions()
        now = self._clock.now()
        live = [row for row in rows if row.held.expires_at is None or row.held.expires_at > now]
        place = Place(zone=self._properties.place.zone, region=self._properties.place.region)
        view = self._properties.imagined(place, (row.override() for row in live))
        by_name: dict[str, list[OverrideRow]] = {}
        for row in live:
            by_name.setdefault(row.name, []).append(row)
        places = [_place_of(instance) for instance in self._directory.everybody()]
        return tuple(
            _state(one, view, by_name.get(one.name, []), revisions.get(one.name, 0), places, now) for one in wanted
        )

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_SECONDS)
            try:
                await self._repository.sweep(self._clock.now())
            except KinemaError as error:
                _logger.warning("values that have ended are still in the table", error=str(error))


def _state(
    declared: Property[Any],
    view: Properties,
    rows: list[OverrideRow],
    revision: int,
    places: list[tuple[str, Place]],
    now: float,
) -> PropertyState:
    explained = view.explain(declared)
    return PropertyState(
        name=declared.name,
        kind=_KINDS[declared.kind],
        value=explained.value,
        layer=explained.layer,
        default=declared.default,
        description=declared.description,
        allowed=declared.allowed,
        choices=declared.check.choices if declared.check else (),
        variable=declared.variable,
        layers=explained.layers,
        overrides=tuple(
            SetOverride(
                value=row.held.value,
                scope=row.scope,
                expires_at=_iso(row.held.expires_at),
                set_by=row.set_by,
                set_at=_iso(row.set_at),
                reason=row.reason,
                instances=_instances(row, places, now),
            )
            for row in sorted(rows, key=lambda row: weakness(row.override()))
        ),
        revision=revision,
    )


def _instances(row: OverrideRow, places: list[tuple[str, Place]], now: float) -> tuple[str, ...]:
    override = row.override()
    found: list[str] = []
    for instance, place in places:
        if matches(override, place, now):
            found.append(instance)
            if len(found) == _SHOWN_INSTANCES:
                break
    return tuple(found)


def _place_of(instance: Instance) -> tuple[str, Place]:
    process = instance.metadata.get("process", instance.instance)
    return instance.instance, Place(process, (instance.service,), (instance.instance,), instance.zone, instance.region)


def _checked(scope: Scope) -> Scope:
    """Return the scope when something can match it. Raises BadInput."""
    for kind in ("instance", "service", "zone", "region"):
        word = getattr(scope, kind)
        if word and not _WORD.fullmatch(word):
            raise BadInput(f"{word[:100]!r} is no name of {kind}; use letters, digits, dots and hyphens.")
    if not 0 < scope.percent <= 100:
        raise BadInput(f"{scope.percent} is no percentage of instances; use a number over 0 and up to 100.")
    return scope


def _names(if_match: str, revision: int) -> bool:
    """Say whether an If-Match field names this revision, by strong comparison (RFC 9110 section 13.1.1)."""
    return if_match.strip() == "*" or f'"{revision}"' in (tag.strip() for tag in if_match.split(","))


def _entry(row: ChangeRow) -> AuditEntry:
    return AuditEntry(
        entry=row.entry,
        at=_iso(row.at),
        who=row.who,
        action=row.action,
        name=row.name,
        scope=row.scope,
        old=None if row.old is None else Setting(row.old.value, row.old.percent, _iso(row.old.expires_at)),
        new=None if row.new is None else Setting(row.new.value, row.new.percent, _iso(row.new.expires_at)),
        reason=row.reason,
    )


def _iso(seconds: Any) -> Any:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
