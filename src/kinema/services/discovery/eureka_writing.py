"""Writing instances and lists of them in Eureka's XML and JSON, whole and compact (X-Eureka-Accept: compact).

An entry is written once for each language and kept with it until it changes; lists are put together from these pieces. The
order and form of the fields are those of Eureka's own codecs (LegacyJacksonJson, XStreamXml and the two Mini ones): numbers
as texts where Eureka has texts, underscores doubled in `versions__delta` and `apps__hashcode`.
"""

import re
from collections.abc import Callable, Iterable

import msgspec

from kinema.services.discovery.entries import Entry
from kinema.services.discovery.registrant import Port

_CLASSES = {"Amazon": "com.netflix.appinfo.AmazonInfo"}
_OTHER_CLASS = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"
_EMPTY_MAP = "java.util.Collections$EmptyMap"
_COMPACT_AMAZON = frozenset({"instance-id", "public-ipv4", "public-hostname", "local-ipv4", "availability-zone"})

_UNSAFE = re.compile("[&<>\r]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_NAME_START = re.compile(r"[A-Za-z_]")
_NOT_NAME = re.compile(r"[^A-Za-z0-9.-]")


class Format(msgspec.Struct, frozen=True):
    """One language: how an entry, an application of such texts, and a list of applications are written."""

    name: str
    media_type: str
    entry: Callable[[Entry], bytes]
    instance: Callable[[bytes], bytes]
    application: Callable[[str, Iterable[bytes]], bytes]
    single: Callable[[bytes], bytes]
    applications: Callable[[int, str, Iterable[bytes]], bytes]

    def text(self, entry: Entry) -> bytes:
        """Return an entry as it is written in a list."""
        found = entry.texts.get(self.entry)
        if found is None:
            found = entry.texts[self.entry] = self.entry(entry)
        return found


# -- JSON ----------------------------------------------------------------------------------------------------------------


def _json_entry(entry: Entry) -> bytes:
    info = entry.info
    fields: dict[str, object] = {
        "instanceId": info.id,
        "hostName": info.host_name,
        "app": info.app,
        "ipAddr": info.ip_address,
    }
    if info.sid not in {None, "na", "unknown"}:
        fields["sid"] = info.sid
    fields |= {
        "status": entry.status,
        "overriddenStatus": entry.override,
        "port": _json_port(info.port),
        "securePort": _json_port(info.secure_port),
        "countryId": info.country,
        "dataCenterInfo": _json_data_center(entry, compact=False),
        "leaseInfo": dict(_lease(entry)),
        "metadata": info.metadata or {"@class": _EMPTY_MAP},
    }
    fields |= {name: value for name, value in _optional(entry) if value is not None}
    return msgspec.json.encode(fields)


def _json_compact(entry: Entry) -> bytes:
    info = entry.info
    fields = {
        "instanceId": info.id,
        "app": info.app,
        "ipAddr": info.ip_address,
        "port": _json_port(info.port),
        "securePort": _json_port(info.secure_port),
        "vipAddress": info.vip,
        "secureVipAddress": info.secure_vip,
        "dataCenterInfo": _json_data_center(entry, compact=True),
        "hostName": info.host_name,
        "status": entry.status,
        "lastUpdatedTimestamp": str(entry.last_updated),
        "actionType": entry.action,
        "asgName": info.scaling_group,
    }
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def _json_port(port: Port) -> dict[str, object]:
    return {"$": port.number, "@enabled": "true" if port.enabled else "false"}


def _json_data_center(entry: Entry, *, compact: bool) -> dict[str, object]:
    center = entry.info.data_center
    fields: dict[str, object] = {"@class": _CLASSES.get(center.name, _OTHER_CLASS), "name": center.name}
    if center.name == "Amazon":
        fields["metadata"] = _amazon(center.metadata, compact=compact)
    return fields


def _json_instance(text: bytes) -> bytes:
    return b'{"instance":%b}' % text


def _json_application(name: str, texts: Iterable[bytes]) -> bytes:
    return b'{"name":%b,"instance":[%b]}' % (msgspec.json.encode(name), b",".join(texts))


def _json_single(application: bytes) -> bytes:
    return b'{"application":%b}' % application


def _json_applications(version: int, hash_code: str, applications: Iterable[bytes]) -> bytes:
    head = b'{"applications":{"versions__delta":"%d","apps__hashcode":"%b","application":[' % (
        version,
        hash_code.encode(),
    )
    return b"".join((head, b",".join(applications), b"]}}"))


# -- XML -----------------------------------------------------------------------------------------------------------------


def _xml_entry(entry: Entry) -> bytes:
    info = entry.info
    sid = "" if info.sid in {None, "na", "unknown"} else _element("sid", info.sid or "")
    lease = "".join(f"<{name}>{value}</{name}>" for name, value in _lease(entry))
    metadata = (
        f"<metadata>{_xml_map(info.metadata)}</metadata>" if info.metadata else f'<metadata class="{_EMPTY_MAP}"/>'
    )
    rest = "".join(_element(name, value) for name, value in _optional(entry) if value is not None)
    return (
        f"<instance>{_element('instanceId', info.id)}{_element('hostName', info.host_name)}{_element('app', info.app)}"
        f"{_element('ipAddr', info.ip_address)}{sid}<status>{entry.status}</status>"
        f"<overriddenstatus>{entry.override}</overriddenstatus>{_xml_port('port', info.port)}"
        f"{_xml_port('securePort', info.secure_port)}<countryId>{info.country}</countryId>"
        f"{_xml_data_center(entry, compact=False)}<leaseInfo>{lease}</leaseInfo>{metadata}{rest}</instance>"
    ).encode()


def _xml_compact(entry: Entry) -> bytes:
    info = entry.info
    texts = (
        ("instanceId", info.id),
        ("app", info.app),
        ("ipAddr", info.ip_address),
        ("vipAddress", info.vip),
        ("secureVipAddress", info.secure_vip),
        ("hostName", info.host_name),
        ("status", entry.status),
        ("lastUpdatedTimestamp", str(entry.last_updated)),
        ("actionType", entry.action),
        ("asgName", info.scaling_group),
    )
    elements = "".join(_element(name, value) for name, value in texts if value is not None)
    ports = _xml_port("port", info.port) + _xml_port("securePort", info.secure_port)
    return f"<instance>{elements}{ports}{_xml_data_center(entry, compact=True)}</instance>".encode()


def _xml_port(name: str, port: Port) -> str:
    return f'<{name} enabled="{"true" if port.enabled else "false"}">{port.number}</{name}>'


def _xml_data_center(entry: Entry, *, compact: bool) -> str:
    center = entry.info.data_center
    metadata = ""
    if center.name == "Amazon":
        metadata = f"<metadata>{_xml_map(_amazon(center.metadata, compact=compact))}</metadata>"
    kind = _CLASSES.get(center.name, _OTHER_CLASS)
    return f'<dataCenterInfo class="{kind}"><name>{center.name}</name>{metadata}</dataCenterInfo>'


def _xml_map(entries: dict[str, str]) -> str:
    return "".join(_element(_xml_name(name), value) for name, value in entries.items())


def _xml_name(name: str) -> str:
    """Return a name of an element for any text, escaped as XStream does it."""
    escaped = _NOT_NAME.sub(_escape_in_name, name)
    if not _NAME_START.match(escaped):
        escaped = f"_.{ord(name[0]):04x}{escaped[1:]}"
    return escaped


def _escape_in_name(found: re.Match[str]) -> str:
    character = found[0]
    if character == "_":
        return "__"
    if character == "$":
        return "_-"
    units = character.encode("utf-16-be")  # XStream counts Java's characters, of which some texts' need two
    return "".join(f"_.{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _element(name: str, value: str) -> str:
    return f"<{name}>{_escape(value)}</{name}>"


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: _ESCAPES[found[0]], text) if _UNSAFE.search(text) else text


def _same(text: bytes) -> bytes:
    return text


def _xml_application(name: str, texts: Iterable[bytes]) -> bytes:
    return b"<application><name>%b</name>%b</application>" % (_escape(name).encode(), b"".join(texts))


def _xml_applications(version: int, hash_code: str, applications: Iterable[bytes]) -> bytes:
    head = b"<applications><versions__delta>%d</versions__delta><apps__hashcode>%b</apps__hashcode>"
    return b"".join((head % (version, hash_code.encode()), *applications, b"</applications>"))


# -- both ----------------------------------------------------------------------------------------------------------------


def _lease(entry: Entry) -> tuple[tuple[str, int], ...]:
    info = entry.info
    return (
        ("renewalIntervalInSecs", info.renewal_seconds),
        ("durationInSecs", info.duration_seconds),
        ("registrationTimestamp", entry.registered_ms),
        ("lastRenewalTimestamp", entry.renewed_ms),
        ("evictionTimestamp", entry.evicted_ms),
        ("serviceUpTimestamp", entry.up_ms),
    )


def _optional(entry: Entry) -> tuple[tuple[str, str | None], ...]:
    info = entry.info
    return (
        ("appGroupName", info.group),
        ("homePageUrl", info.home_page_url),
        ("statusPageUrl", info.status_page_url),
        ("healthCheckUrl", info.health_check_url),
        ("secureHealthCheckUrl", info.secure_health_check_url),
        ("vipAddress", info.vip),
        ("secureVipAddress", info.secure_vip),
        ("isCoordinatingDiscoveryServer", "false"),
        ("lastUpdatedTimestamp", str(entry.last_updated)),
        ("lastDirtyTimestamp", str(entry.last_dirty)),
        ("actionType", entry.action),
        ("asgName", info.scaling_group),
    )


def _amazon(metadata: dict[str, str], *, compact: bool) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name in _COMPACT_AMAZON} if compact else metadata


JSON = Format(
    "json", "application/json", _json_entry, _json_instance, _json_application, _json_single, _json_applications
)
XML = Format("xml", "application/xml", _xml_entry, _same, _xml_application, _same, _xml_applications)
COMPACT_JSON = msgspec.structs.replace(JSON, name="compact json", entry=_json_compact)
COMPACT_XML = msgspec.structs.replace(XML, name="compact xml", entry=_xml_compact)
