"""Our own instances in Eureka's words, and back: the same entry is shown by both contracts and travels between registries."""

import re

import msgspec

from kinema.core.errors import BadInput
from kinema.model.discovery import Instance
from kinema.services.discovery.registrant import Port, Registrant

GROUP = "KINEMA"
"""The application group of signed instances. Who registers by Eureka's contract cannot be in it."""

HEARTBEAT_SECONDS = 2
LEASE_SECONDS = 6.0
STARTED = "started"  # metadata: Unix seconds at which the instance's process began (rpc/merge.py)
_PLACE = ("region", "zone", "version")  # metadata in Eureka's words, fields of their own in ours
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def registrant_of(instance: Instance, lease_seconds: float, now_ms: int) -> Registrant:
    """Return a signed instance as Eureka would describe it. Raises BadInput when its address is not host:port."""
    host, _, port = instance.address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port[:6]) < 65_536:
        raise BadInput(f"The address {instance.address[:100]!r} is not host:port with a port from 1 to 65535.")
    bare = host.strip("[]")
    return Registrant(
        app=instance.service.upper(),
        id=instance.instance,
        host_name=bare,
        ip_address=bare,
        port=Port(int(port), enabled=True),
        secure_port=Port(443, enabled=False),
        vip=instance.service,
        group=GROUP,
        health_check_url=f"http://{instance.address}/healthz",
        renewal_seconds=HEARTBEAT_SECONDS,
        duration_seconds=max(1, round(lease_seconds)),
        metadata=instance.metadata | {name: getattr(instance, name) for name in _PLACE},
        last_dirty=_started_ms(instance, now_ms),
        last_updated=now_ms,
    )


def instance_of(one: Registrant) -> Instance:
    """Return the signed instance that another registry describes in Eureka's words. Raises BadInput unless it is one."""
    service = one.app.lower()
    if not _NAME.fullmatch(service) or not _NAME.fullmatch(one.id):
        raise BadInput(f"{service[:70]}/{one.id[:70]} is no name of an instance of ours.")
    host = f"[{one.ip_address}]" if ":" in one.ip_address else one.ip_address
    place = {name: one.metadata.get(name, "") for name in _PLACE}
    own = {name: value for name, value in one.metadata.items() if name not in _PLACE}
    return Instance(service, one.id, f"{host}:{one.port.number}", metadata=own, **place)


def with_metadata(instance: Instance, metadata: dict[str, str]) -> Instance:
    """Return the instance with these entries added to its metadata, or in the place of those it has."""
    place = {name: metadata.get(name, getattr(instance, name)) for name in _PLACE}
    own = {name: value for name, value in metadata.items() if name not in _PLACE}
    return msgspec.structs.replace(instance, metadata=instance.metadata | own, **place)


def _started_ms(instance: Instance, now_ms: int) -> int:
    """Return when the instance's process began, so that a later one wins over an earlier one of the same name."""
    try:
        started = int(float(instance.metadata.get(STARTED, "")) * 1000)
    except (ValueError, OverflowError):
        return now_ms
    return started if 0 <= started <= now_ms else now_ms
