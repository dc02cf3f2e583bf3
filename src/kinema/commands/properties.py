"""`kinema property ...`: what can be changed while a region runs; the same as the console's page, for terminals and scripts."""

import getpass
import json
import sys
from typing import Annotated
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import Parameter

from kinema.cluster.inside import Inside
from kinema.commands.options import AsJson, Data, data_dir
from kinema.core.properties import Value, meant
from kinema.core.property_scope import Scope
from kinema.model.configuration import (
    AuditEntry,
    AuditPage,
    Kind,
    PropertyChange,
    PropertyList,
    PropertyState,
    Rollback,
    Setting,
)

Instance = Annotated[str, Parameter(help="Only for this instance or process.")]
Service = Annotated[str, Parameter(help="Only for this service's instances.")]
Zone = Annotated[str, Parameter(help="Only in this zone.")]
Region = Annotated[str, Parameter(help="Only in this region.")]
Reason = Annotated[str, Parameter(help="Why; stands in the audit trail.")]

_SERVICE = "configuration"
_TYPES: dict[Kind, type[Value]] = {"flag": bool, "whole number": int, "number": float, "text": str, "list": tuple}


def list_all(*, data: Data = None, as_json: AsJson = False) -> None:
    """Show every property with its value, where that comes from, and what is set for some instances only."""
    answer = _inside(data).call(_SERVICE, "GET", "/v1/properties")
    if as_json:
        print(answer.body.decode())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("property", "value", "from", "set", box=None, header_style="bold", pad_edge=False)
    listed = msgspec.json.decode(answer.body, type=PropertyList)
    for one in listed.properties:
        some = "; ".join(f"{_shown(row.value)} ({row.scope})" for row in one.overrides)
        table.add_row(one.name, _shown(one.value), one.layer, some)
    Console().print(table, markup=False, highlight=False)
    if listed.unknown:
        print(
            f"No property is called {', '.join(listed.unknown)}; the file or the environment names it.", file=sys.stderr
        )


def get(name: str, /, *, data: Data = None, as_json: AsJson = False) -> None:
    """Show one property: its value, what each layer says, what it accepts."""
    answer = _inside(data).call(_SERVICE, "GET", _path(name))
    _print(answer.body, as_json=as_json)


def set_(  # the verb is `set`
    name: str,
    value: str,
    /,
    *,
    data: Data = None,
    instance: Instance = "",
    service: Service = "",
    zone: Zone = "",
    region: Region = "",
    percent: Annotated[float, Parameter(help="Only for this share of them, as a trial.")] = 100.0,
    minutes: Annotated[float | None, Parameter(help="Ends by itself after this time.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Set a value; every process that it is for has it within two seconds. Lists are written with commas."""
    inside = _inside(data)
    known = msgspec.json.decode(inside.call(_SERVICE, "GET", _path(name)).body, type=PropertyState)
    change = PropertyChange(
        value=meant(_TYPES[known.kind], value),
        scope=Scope(instance, service, zone, region, percent),
        expires_in=None if minutes is None else minutes * 60,
        reason=reason,
    )
    _print(inside.call(_SERVICE, "PUT", _path(name), change).body, as_json=as_json)


def unset(
    name: str,
    /,
    *,
    data: Data = None,
    instance: Instance = "",
    service: Service = "",
    zone: Zone = "",
    region: Region = "",
    canary: Annotated[bool, Parameter(negative="", help="The value for a share of them, not the one for all.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Take back the value that was set for exactly this scope."""
    query = urlencode(
        {
            "instance": instance,
            "service": service,
            "zone": zone,
            "region": region,
            "canary": str(canary).lower(),
            "reason": reason,
        }
    )
    _print(_inside(data).call(_SERVICE, "DELETE", f"{_path(name)}?{query}").body, as_json=as_json)


def audit(
    name: str = "",
    /,
    *,
    data: Data = None,
    limit: Annotated[int, Parameter(help="How many changes at most, up to 100.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, when and why, the newest first: of one property, or of all."""
    query = urlencode({"name": name, "limit": limit})
    answer = _inside(data).call(_SERVICE, "GET", f"/v1/properties/audit?{query}")
    if as_json:
        print(answer.body.decode())
        return
    for entry in msgspec.json.decode(answer.body, type=AuditPage).entries:
        print(_line(entry))


def rollback(entry: int, /, *, data: Data = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Put back what held before a change; `kinema property audit` has its number."""
    path = f"/v1/properties/audit/{entry}/rollback"
    _print(_inside(data).call(_SERVICE, "POST", path, Rollback(reason)).body, as_json=as_json)


def _inside(data: Data) -> Inside:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = "somebody"
    return Inside(data_dir(data), name=f"{user} on the command line")


def _path(name: str) -> str:
    return f"/v1/properties/{quote(name, safe='')}"


def _print(body: bytes, *, as_json: bool) -> None:
    if as_json:
        print(body.decode())
        return
    one = msgspec.json.decode(body, type=PropertyState)
    print(f"{one.name} = {_shown(one.value)}  ({one.layer})")
    print(f"  {one.description}")
    print(f"  Allowed is {one.allowed}; in the environment it is {one.variable}.")
    for row in one.overrides:
        until = f" until {row.expires_at}" if row.expires_at else ""
        because = f": {row.reason}" if row.reason else ""
        print(f"  {_shown(row.value)} {_for(row.scope)}{until}, set by {row.set_by} at {row.set_at}{because}")
        print(f"    holds for {', '.join(row.instances) or 'no running instance'}")
    for layer in one.layers:
        if layer.layer != "runtime":
            print(f"  {layer.layer}: {_shown(layer.value)}" + (f", not used. {layer.refused}" if layer.refused else ""))


def _line(entry: AuditEntry) -> str:
    change = f"{_setting(entry.old)} -> {_setting(entry.new)}"
    because = f": {entry.reason}" if entry.reason else ""
    return (
        f"{entry.entry}  {entry.at}  {entry.name} {_for(entry.scope)}  {change}  {entry.action} by {entry.who}{because}"
    )


def _setting(setting: Setting | None) -> str:
    return "not set" if setting is None else _shown(setting.value)


def _for(scope: Scope) -> str:
    words = str(scope)
    return words if words == "everywhere" else f"for {words}"


def _shown(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "(empty list)"
    return value or '""' if isinstance(value, str) else json.dumps(value)
