"""Configuration's HTTP API: properties for operators, and the runtime layer that every process follows."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from kinema.core.errors import BadInput
from kinema.core.etag import matches
from kinema.core.identity import Identity
from kinema.core.keys import KeyRing
from kinema.core.property_scope import Scope
from kinema.model.configuration import AuditPage, PropertyChange, PropertyList, PropertyState, Rollback, RuntimeLayer
from kinema.rpc.conditional import conditional
from kinema.rpc.cursor import decode_cursor, encode_cursor
from kinema.rpc.service import AnyRequest, needs
from kinema.services.configuration.service import Configuration

Name = Annotated[str, PathParameter(description="The property's name.", schema_extra={"pattern": r"^[a-z0-9_.]+$"})]
Entry = Annotated[int, PathParameter(ge=1, le=2**31 - 1, description="The number of a change in the audit trail.")]
OfName = Annotated[
    str, QueryParameter(max_length=100, pattern=r"^[^\x00]*$", description="Only changes of this property.")
]
Cursor = Annotated[
    str, QueryParameter(max_length=2000, description="Where the page begins: `next_cursor` of the page before.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many changes a page has at most.")]
Part = Annotated[str, QueryParameter(max_length=100, description="Part of the scope; empty: any.")]
Canary = Annotated[
    bool, QueryParameter(description="The value for a percentage of the scope, not the one for all of it.")
]
Why = Annotated[
    str, QueryParameter(max_length=500, pattern=r"^[^\x00]*$", description="The reason, for the audit trail.")
]
IfMatch = Annotated[
    str,
    HeaderParameter(name="If-Match", max_length=500, description="The ETag of the state that this change is based on."),
]


_UNSET_BY = frozenset({"instance", "service", "zone", "region", "canary", "reason"})


class _Before(msgspec.Struct, frozen=True):
    """Where a page of changes begins: before this one."""

    entry: int


@get("/v1/properties", operation_id="listProperties", tags=["properties"], guards=[needs("operator")])
async def list_properties(configuration: Configuration) -> Response[PropertyList]:
    """Every declared property: its value and layer, its overrides, what it is for and what it accepts."""
    return Response(await configuration.properties(), headers={"Cache-Control": "no-store"})


@get(
    "/v1/properties/audit",
    operation_id="listPropertyChanges",
    tags=["properties"],
    guards=[needs("operator")],
)
async def list_changes(
    configuration: Configuration, cursor_keys: KeyRing, name: OfName = "", cursor: Cursor = "", limit: Limit = 50
) -> AuditPage:
    """Who changed what, when and why: old value and new, the newest first."""
    before = decode_cursor(cursor_keys, cursor, _Before).entry if cursor else None
    found = await configuration.trail(name, before, limit + 1)
    more = encode_cursor(cursor_keys, _Before(found[limit - 1].entry)) if len(found) > limit else None
    return AuditPage(entries=found[:limit], next_cursor=more)


@post(
    "/v1/properties/audit/{entry:int}/rollback",
    operation_id="rollBackProperty",
    tags=["properties"],
    guards=[needs("operator")],
    status_code=200,
)
async def roll_back(
    entry: Entry, identity: Identity, configuration: Configuration, data: Rollback | None = None, if_match: IfMatch = ""
) -> Response[PropertyState]:
    """Put back what held before this change, in its scope. Later changes there are undone with it."""
    reason = "" if data is None else data.reason
    return _tagged(await configuration.roll_back(entry, reason, if_match, identity))


@get("/v1/properties/{name:str}", operation_id="getProperty", tags=["properties"], guards=[needs("operator")])
async def get_property(name: Name, configuration: Configuration) -> Response[PropertyState]:
    """One property. Its ETag is what a change may name in If-Match."""
    return _tagged(await configuration.property(name))


@put("/v1/properties/{name:str}", operation_id="setProperty", tags=["properties"], guards=[needs("operator")])
async def set_property(
    name: Name, data: PropertyChange, identity: Identity, configuration: Configuration, if_match: IfMatch = ""
) -> Response[PropertyState]:
    """Set a value for a scope. Every process that it is for has it within two seconds; 412 when If-Match is outdated."""
    return _tagged(await configuration.set(name, data, if_match, identity))


@delete(
    "/v1/properties/{name:str}",
    operation_id="unsetProperty",
    tags=["properties"],
    guards=[needs("operator")],
    status_code=200,
)
async def unset_property(
    name: Name,
    request: AnyRequest,
    identity: Identity,
    configuration: Configuration,
    instance: Part = "",
    service: Part = "",
    zone: Part = "",
    region: Part = "",
    canary: Canary = False,
    reason: Why = "",
    if_match: IfMatch = "",
) -> Response[PropertyState]:
    """Take back the value that was set for exactly this scope."""
    if unknown := request.query_params.keys() - _UNSET_BY:  # a misspelled part would take back the value for everybody
        raise BadInput(f"{min(unknown)[:100]!r} is no part of a scope; there are {', '.join(sorted(_UNSET_BY))}.")
    scope = Scope(instance, service, zone, region, 50.0 if canary else 100.0)  # any percentage stands for the canary
    return _tagged(await configuration.unset(name, scope, reason, if_match, identity))


@get(
    "/v1/internal/properties",
    operation_id="getRuntimeLayer",
    tags=["internal"],
    guards=[needs("service")],
    responses={200: ResponseSpec(RuntimeLayer, description="Every override")},
)
async def get_runtime_layer(request: AnyRequest, configuration: Configuration) -> Response[bytes]:
    """The runtime layer. Its ETag changes whenever an override does, so asking each second is cheap."""
    held = request.headers.get("if-none-match", "")
    if held and matches(held, mark := await configuration.mark()):
        return conditional(request, mark, lambda: None)
    mark, layer = await configuration.layer()
    return conditional(request, mark, lambda: layer)


ROUTES: tuple[ControllerRouterHandler, ...] = (
    list_properties,
    list_changes,
    roll_back,
    get_property,
    set_property,
    unset_property,
    get_runtime_layer,
)


def _tagged(state: PropertyState) -> Response[PropertyState]:
    return Response(state, headers={"ETag": f'"{state.revision}"', "Cache-Control": "no-store"})
