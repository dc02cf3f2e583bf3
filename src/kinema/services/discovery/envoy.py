"""Endpoint discovery for Envoy over REST: POST /v3/discovery:endpoints.

A DiscoveryRequest names clusters in `resource_names`; a cluster is the application of that name, in any case. For each the
DiscoveryResponse has a ClusterLoadAssignment, with its instances by locality (region and zone) and their health. An
unknown name gets one without endpoints, so that Envoy knows that there is nobody. `version_info` is a digest of the answer; who has
that version already gets 304, which Envoy's REST subscription takes for "no change".

Source: the xDS REST and gRPC protocol, section "REST endpoints"; envoy.config.endpoint.v3.
"""

import hashlib
from collections.abc import Iterable
from typing import Annotated

import msgspec

from kinema.core.errors import BadInput, NotFound, Unsupported
from kinema.services.discovery.entries import Entry
from kinema.services.discovery.instances import InstanceRegistry
from kinema.services.discovery.status import DOWN, OUT_OF_SERVICE, STARTING, UP
from kinema.services.discovery.surface import Access, Handler, NoMethod, Reply, Request, media_type

TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
_BODY_BYTES = 262_144
_HEALTH = {UP: "HEALTHY", DOWN: "UNHEALTHY", STARTING: "UNHEALTHY", OUT_OF_SERVICE: "DRAINING"}


class _Request(msgspec.Struct):
    """What of a DiscoveryRequest matters here; protobuf's JSON allows both spellings of a name."""

    resource_names: Annotated[list[str], msgspec.Meta(max_length=1_000)] = []
    resourceNames: Annotated[list[str], msgspec.Meta(max_length=1_000)] = []  # noqa: N815
    version_info: str = ""
    versionInfo: str = ""  # noqa: N815
    type_url: str = ""
    typeUrl: str = ""  # noqa: N815


class Endpoints(Handler):
    """The contract on one registry."""

    def __init__(self, registry: InstanceRegistry, access: Access, region: str) -> None:
        self._registry = registry
        self._access = access
        self._region = region
        self._answers = 0

    async def handle(self, request: Request) -> Reply:
        """Answer one request."""
        self._access.check(request)
        if request.segments != ["v3", "discovery:endpoints"]:
            raise NotFound("Of Envoy's contracts only endpoint discovery is here: POST /v3/discovery:endpoints.")
        if request.method != "POST":
            raise NoMethod("Endpoint discovery is a POST of a DiscoveryRequest.")
        if media_type(request) not in {"application/json", ""}:
            raise Unsupported("A DiscoveryRequest is application/json here.")
        asked = _read(await request.body(_BODY_BYTES))
        if (asked.type_url or asked.typeUrl or TYPE) != TYPE:
            raise BadInput(f"This answers for {TYPE}, not {(asked.type_url or asked.typeUrl)[:100]}.")
        names = sorted({*asked.resource_names, *asked.resourceNames})
        resources = msgspec.json.encode([self._assignment(name) for name in names])
        version = hashlib.blake2b(resources, digest_size=8).hexdigest()
        if version == (asked.version_info or asked.versionInfo):
            return Reply(304)
        self._answers += 1
        head = {"version_info": version, "type_url": TYPE, "nonce": str(self._answers)}
        body = msgspec.json.encode(head | {"resources": msgspec.Raw(resources)})
        return Reply(200, body, "application/json")

    def _assignment(self, name: str) -> dict[str, object]:
        by_place: dict[tuple[str, str], list[object]] = {}
        for entry in self._instances(name):
            by_place.setdefault(self._place(entry), []).append(_endpoint(entry))
        endpoints = [
            {"locality": {"region": region, "zone": zone}, "lb_endpoints": found, "load_balancing_weight": len(found)}
            for (region, zone), found in sorted(by_place.items())
        ]
        return {"@type": TYPE, "cluster_name": name, "endpoints": endpoints}

    def _instances(self, name: str) -> Iterable[Entry]:
        found = self._registry.entries.apps.get(name.upper(), {})
        return (found[instance_id] for instance_id in sorted(found))

    def _place(self, entry: Entry) -> tuple[str, str]:
        metadata = entry.info.metadata
        zone = metadata.get("zone") or entry.info.data_center.metadata.get("availability-zone") or ""
        return metadata.get("region") or self._region, zone


def _endpoint(entry: Entry) -> dict[str, object]:
    info = entry.info
    port = info.port if info.port.enabled or not info.secure_port.enabled else info.secure_port
    socket = {"address": info.ip_address, "port_value": port.number}
    return {
        "endpoint": {"address": {"socket_address": socket}, "hostname": info.host_name},
        "health_status": _HEALTH.get(entry.status, "UNKNOWN"),
        "load_balancing_weight": 1,
    }


def _read(body: bytes) -> _Request:
    try:
        return msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"The body is not a DiscoveryRequest in JSON: {error}.") from error
