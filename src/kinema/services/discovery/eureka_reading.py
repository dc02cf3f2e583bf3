"""Reading what Eureka's clients and peers send, in JSON or XML, as leniently as Eureka does and no further.

Clients write numbers as texts and texts as numbers, flags as "true", one element where others write a list, and an empty
metadata as `{"@class": "java.util.Collections$EmptyMap"}`. Both languages are first brought into one form (`_Instance`),
which is XML's taken literally: an attribute is a key with an at sign, a text beside attributes the key "$". Names of XML
elements are escaped as XStream does it (XmlFriendlyNameCoder): `_` is `__`, `$` is `_-`, any other character `_.` and four
hexadecimal digits.
"""

import re
import zlib
from typing import Annotated, Any, TypeVar
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml import DefusedXmlException, ElementTree  # type: ignore[import-untyped]  # it has no types

from kinema.core.errors import BadInput, TooLarge
from kinema.services.discovery.registrant import (
    DURATION_SECONDS,
    RENEWAL_SECONDS,
    DataCenter,
    Port,
    Registrant,
)
from kinema.services.discovery.status import UNKNOWN, UP, parse

T = TypeVar("T")
_Scalar = str | int | float | bool | None
_Map = dict[str, _Scalar]

_MOST_APPLICATIONS = 50_000
_MOST_IN_BATCH = 5_000
_DATA_CENTERS = {"myown": "MyOwn", "netflix": "Netflix", "amazon": "Amazon"}
_ESCAPED = re.compile(r"_(?:(-)|(_)|\.([0-9a-fA-F]{4}))")


class _Port(msgspec.Struct, rename={"number": "$", "enabled": "@enabled"}):
    number: _Scalar = None
    enabled: _Scalar = None


class _DataCenter(msgspec.Struct):
    name: _Scalar = None
    metadata: _Map | None = None


class _Lease(msgspec.Struct):
    renewalIntervalInSecs: _Scalar = None  # noqa: N815 (Eureka's names)
    durationInSecs: _Scalar = None  # noqa: N815


class _Instance(msgspec.Struct, rename="camel"):
    instance_id: _Scalar = None
    host_name: _Scalar = None
    app: _Scalar = None
    ip_addr: _Scalar = None
    sid: _Scalar = None
    status: _Scalar = None
    overriddenstatus: _Scalar = None
    overridden_status: _Scalar = None
    port: _Port | int | str | None = None
    secure_port: _Port | int | str | None = None
    country_id: _Scalar = None
    data_center_info: _DataCenter | None = None
    lease_info: _Lease | None = None
    metadata: _Map | None = None
    app_group_name: _Scalar = None
    home_page_url: _Scalar = None
    status_page_url: _Scalar = None
    health_check_url: _Scalar = None
    secure_health_check_url: _Scalar = None
    vip_address: _Scalar = None
    secure_vip_address: _Scalar = None
    asg_name: _Scalar = None
    last_updated_timestamp: _Scalar = None
    last_dirty_timestamp: _Scalar = None
    action_type: _Scalar = None


_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(_Instance))


class _Envelope(msgspec.Struct):
    instance: _Instance


class _Application(msgspec.Struct):
    name: _Scalar = None
    instance: list[_Instance] | _Instance = []


class _Applications(msgspec.Struct):
    application: Annotated[list[_Application], msgspec.Meta(max_length=_MOST_APPLICATIONS)] | _Application = []


class _ApplicationsEnvelope(msgspec.Struct):
    applications: _Applications


class ReplicationItem(msgspec.Struct, rename="camel"):
    """One action of a peer, as it came; `instance` is what `instanceInfo` says."""

    action: str
    app_name: str = ""
    id: str = ""
    last_dirty_timestamp: _Scalar = None
    overridden_status: str | None = None
    status: str | None = None
    instance_info: _Instance | None = None

    @property
    def last_dirty(self) -> int | None:
        """The timestamp as a number. Raises BadInput when it is none."""
        return (
            None if self.last_dirty_timestamp is None else _number("lastDirtyTimestamp", self.last_dirty_timestamp, 0)
        )

    def registrant(self, now_ms: int) -> Registrant | None:
        """Return the instance that the item carries."""
        return None if self.instance_info is None else _registrant(self.instance_info, now_ms)


class _Batch(msgspec.Struct, rename="camel"):
    replication_list: Annotated[list[ReplicationItem], msgspec.Meta(max_length=_MOST_IN_BATCH)] = []


class ItemAnswer(msgspec.Struct, rename="camel"):
    """What a peer answers to one action."""

    status_code: int
    response_entity: _Instance | None = None

    def registrant(self, now_ms: int) -> Registrant | None:
        """Return the instance that the peer knows better."""
        return None if self.response_entity is None else _registrant(self.response_entity, now_ms)


class _BatchAnswer(msgspec.Struct, rename="camel"):
    response_list: Annotated[list[ItemAnswer], msgspec.Meta(max_length=_MOST_IN_BATCH)] = []


def read_instance(body: bytes, media_type: str, now_ms: int) -> Registrant:
    """Return the registrant that a body describes; `media_type` is application/json or application/xml. Raises BadInput."""
    if media_type == "application/json":
        return _registrant(_json(body, _Envelope).instance, now_ms)
    root = _xml(body)
    if root.tag != "instance":
        raise BadInput(f"The body is a <{root.tag[:50]}>; a registration is an <instance>.")
    return _registrant(_convert(_fields(root), _Instance), now_ms)


def read_applications(body: bytes, now_ms: int) -> list[Registrant]:
    """Return every instance of a peer's whole registry, in JSON. Raises BadInput."""
    found = _json(body, _ApplicationsEnvelope).applications.application
    applications = found if isinstance(found, list) else [found]
    instances: list[Registrant] = []
    for application in applications:
        of_it = application.instance
        instances += [_registrant(one, now_ms) for one in (of_it if isinstance(of_it, list) else [of_it])]
    return instances


def read_batch(body: bytes) -> list[ReplicationItem]:
    """Return a peer's actions. Raises BadInput."""
    return _json(body, _Batch).replication_list


def read_batch_answer(body: bytes) -> list[ItemAnswer]:
    """Return a peer's answers to a batch, in the order of its actions. Raises BadInput."""
    return _json(body, _BatchAnswer).response_list


def decompress(body: bytes, most: int) -> bytes:
    """Return a gzipped body as it was. Raises TooLarge when it grows beyond `most` bytes, BadInput when it is broken."""
    inflating = zlib.decompressobj(wbits=31)
    try:
        plain = inflating.decompress(body, most + 1)
    except zlib.error as error:
        raise BadInput(f"The body is not the gzip that its Content-Encoding promises: {error}.") from error
    if len(plain) > most:
        raise TooLarge(f"The unpacked body is over {most} bytes.")
    if not inflating.eof:
        raise BadInput("The gzipped body ends in the middle; send it whole.")
    return plain


def read_number(name: str, text: str) -> int:
    """Return a whole number from a query. Raises BadInput."""
    return _number(name, text, 0)


# -- one form --------------------------------------------------------------------------------------------------------------


def _json(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The body is not the JSON that Eureka's clients send: {error}.") from error
    except RecursionError as error:
        raise BadInput("The body is nested too deeply.") from error


def _xml(body: bytes) -> Element:
    try:
        root: Element = ElementTree.fromstring(body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise BadInput(
            "The body has a document type or entities, which are not read; send the elements alone."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise BadInput(f"The body is not well-formed XML: {error}.") from error
    return root


def _convert(fields: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"The body is not the XML that Eureka's clients send: {error}.") from error


def _fields(instance: Element) -> dict[str, Any]:
    """Return an <instance> in the form that JSON has."""
    fields: dict[str, Any] = {}
    for child in instance:
        name = _name(child.tag)
        if name in {"port", "securePort"}:
            enabled = {"@enabled": child.attrib["enabled"]} if "enabled" in child.attrib else {}
            fields[name] = {"$": child.text} | enabled
        elif name == "metadata":
            fields[name] = _map(child)
        elif name == "dataCenterInfo":
            inside = {_name(one.tag): _map(one) if len(one) else one.text for one in child}
            if isinstance(inside.get("metadata"), str) or inside.get("metadata") is None:
                inside.pop("metadata", None)
            fields[name] = inside
        elif name == "leaseInfo":
            fields[name] = _map(child)
        elif name not in _KNOWN:
            continue  # as Eureka does, whatever is inside
        elif len(child):
            raise BadInput(f"The element {name[:50]} has elements inside; it is a text.")
        else:
            fields[name] = child.text
    return fields


def _map(element: Element) -> dict[str, str | None]:
    for child in element:
        if len(child):
            raise BadInput(f"The entry {child.tag[:50]} of {element.tag} has elements inside; it is a text.")
    return {_name(child.tag): child.text for child in element}


def _name(tag: str) -> str:
    if "_" not in tag:
        return tag
    units = _ESCAPED.sub(_unescape, tag)  # XStream counts Java's characters, of which some texts' need two
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(found: re.Match[str]) -> str:
    return "$" if found[1] else "_" if found[2] else chr(int(found[3], 16))


# -- from that form to a registrant --------------------------------------------------------------------------------------


def _registrant(said: _Instance, now_ms: int) -> Registrant:
    if said.data_center_info is None:
        raise BadInput("Missing dataCenterInfo; most say MyOwn.")
    center = _data_center(said.data_center_info)
    host = _text(said.host_name) or ""
    lease = said.lease_info or _Lease()
    return Registrant(
        app=(_text(said.app) or "").upper(),
        id=_text(said.instance_id) or center.metadata.get("instance-id") or host,
        host_name=host,
        ip_address=_text(said.ip_addr) or "",
        status=UP if said.status is None else parse(said.status),
        overridden_status=parse(said.overridden_status or said.overriddenstatus or UNKNOWN),
        port=_port("port", said.port, Port(7001, enabled=True)),
        secure_port=_port("securePort", said.secure_port, Port(7002, enabled=False)),
        vip=_text(said.vip_address),
        secure_vip=_text(said.secure_vip_address),
        country=_number("countryId", said.country_id, 1),
        sid=_text(said.sid),
        group=(_text(said.app_group_name) or "").upper() or None,
        home_page_url=_text(said.home_page_url),
        status_page_url=_text(said.status_page_url),
        health_check_url=_text(said.health_check_url),
        secure_health_check_url=_text(said.secure_health_check_url),
        scaling_group=_text(said.asg_name),
        data_center=center,
        renewal_seconds=_positive("renewalIntervalInSecs", lease.renewalIntervalInSecs, RENEWAL_SECONDS),
        duration_seconds=_positive("durationInSecs", lease.durationInSecs, DURATION_SECONDS),
        metadata=_metadata(said.metadata),
        last_dirty=_number("lastDirtyTimestamp", said.last_dirty_timestamp, now_ms),
        last_updated=_number("lastUpdatedTimestamp", said.last_updated_timestamp, now_ms),
    )


def _data_center(said: _DataCenter) -> DataCenter:
    name = (_text(said.name) or "").strip()
    if not name:
        return DataCenter("")
    known = _DATA_CENTERS.get(name.lower())
    if known is None:  # Java's clients stop reading the whole list at a name that they do not know
        raise BadInput(f"The dataCenterInfo name {name[:50]!r} is none of MyOwn, Netflix and Amazon.")
    return DataCenter(known, _metadata(said.metadata) if known == "Amazon" else {})


def _metadata(said: _Map | None) -> dict[str, str]:
    return {key: _text(value) or "" for key, value in (said or {}).items() if key not in {"@class", "@xmlns"}}


def _port(name: str, said: _Port | int | str | None, default: Port) -> Port:
    if said is None:
        return default
    if not isinstance(said, _Port):
        said = _Port(said)
    enabled = _text(said.enabled)
    return Port(
        _number(name, said.number, default.number),
        enabled=default.enabled if enabled is None else enabled.strip().lower() == "true",
    )


def _text(value: _Scalar) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(name: str, value: _Scalar, default: int) -> int:
    if value is None or value == "":
        return default
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else _text(value) or ""
    if len(text) > 20 or not re.fullmatch(r"\s*-?[0-9]+\s*", text):
        raise BadInput(f"The {name} {text[:50]!r} is not a whole number.")
    return int(text)


def _positive(name: str, value: _Scalar, default: int) -> int:
    number = _number(name, value, default)
    return number if number > 0 else default
