"""What `configuration` tells the others: the runtime layer of properties, what is declared, who changed what."""

from typing import Annotated, Literal

import msgspec

from kinema.core.properties import Layer, LayerValue, Value
from kinema.core.property_scope import Override, Scope

Kind = Literal["flag", "whole number", "number", "text", "list"]
Action = Literal["set", "unset", "rolled back", "expired"]
Reason = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*$")]  # no SQL engine keeps a NUL


class RuntimeLayer(msgspec.Struct, frozen=True):
    """Every override that has not expired."""

    overrides: tuple[Override, ...]


class PropertyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value to set. `expires_in` is in seconds from now; without it the value holds until somebody takes it back."""

    value: Value
    scope: Scope = Scope()
    expires_in: Annotated[float, msgspec.Meta(gt=0, le=31_622_400)] | None = None
    reason: Reason = ""


class Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a change is taken back."""

    reason: Reason = ""


class SetOverride(msgspec.Struct, frozen=True):
    """A value of the runtime layer, who set it, and the running instances that it holds for. Times are ISO 8601 in UTC."""

    value: Value
    scope: Scope
    expires_at: str | None
    set_by: str
    set_at: str
    reason: str
    instances: tuple[str, ...]


class PropertyState(msgspec.Struct, frozen=True):
    """A declared property: what it is everywhere else than in the scope of an override, and its overrides, the most specific first.

    `layers` says what each layer has, the strongest first. `revision` is the number in the ETag of this property.
    """

    name: str
    kind: Kind
    value: Value
    layer: Layer
    default: Value
    description: str
    allowed: str
    choices: tuple[str, ...]
    variable: str
    layers: tuple[LayerValue, ...]
    overrides: tuple[SetOverride, ...]
    revision: int


class PropertyList(msgspec.Struct, frozen=True):
    """Every declared property, by name. `unknown` is what the file and the environment name that no property is called."""

    properties: tuple[PropertyState, ...]
    unknown: tuple[str, ...] = ()


class Setting(msgspec.Struct, frozen=True):
    """What an override said at a time. `expires_at` is ISO 8601 in UTC."""

    value: Value
    percent: float = 100.0
    expires_at: str | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """One change: when (ISO 8601 in UTC), by whom, what was there and what is; None where there was or is nothing."""

    entry: int
    at: str
    who: str
    action: Action
    name: str
    scope: Scope
    old: Setting | None
    new: Setting | None
    reason: str


class AuditPage(msgspec.Struct, frozen=True):
    """A page of changes, the newest first; `next_cursor` is None on the last page."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None = None
