"""Discovery's HTTP API: three routes, all for service identities."""

import secrets
from typing import Annotated

from litestar import Litestar, Response, delete, get, put
from litestar.params import Parameter

from kinema.core.clock import Clock
from kinema.core.errors import BadInput
from kinema.core.keys import KeyRing
from kinema.model.discovery import Instance, Registry
from kinema.rpc.conditional import conditional
from kinema.rpc.service import AnyRequest, create_app, needs
from kinema.services.discovery.leases import LEASE_SECONDS, Leases

Name = Annotated[str, Parameter(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


@put("/v1/registry/{service:str}/{instance:str}", operation_id="register", status_code=204, guards=[needs("service")])
async def register(service: Name, instance: Name, data: Instance, leases: Leases) -> None:
    """Register an instance, or keep it registered: the same request each two seconds."""
    if (data.service, data.instance) != (service, instance):
        raise BadInput(f"The body names {data.service}/{data.instance}, the path {service}/{instance}; send one name.")
    host, _, port = data.address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadInput(f"The address {data.address[:100]!r} is not host:port with a port from 1 to 65535.")
    leases.renew(data)


@delete("/v1/registry/{service:str}/{instance:str}", operation_id="signOff", status_code=204, guards=[needs("service")])
async def sign_off(service: Name, instance: Name, leases: Leases) -> None:
    """Take an instance out at once: what it does when it stops cleanly."""
    leases.cancel(service, instance)


@get("/v1/registry", operation_id="listInstances", guards=[needs("service")], response_headers=None)
async def list_instances(request: AnyRequest, leases: Leases, boot: str) -> Response[bytes]:
    """All live instances; answers 304 to who has them already."""
    registry: Registry = leases.registry()
    etag = f"{boot}-{registry.version}-{int(registry.settled)}"
    return conditional(request, etag, lambda: registry)


def create_discovery(
    *, instance: str, keys: KeyRing, clock: Clock, lease_seconds: float = LEASE_SECONDS, max_body_bytes: int = 32_768
) -> Litestar:
    """Return the app of one registry. It holds its leases in memory and knows nothing of the other registries."""
    return create_app(
        service="discovery",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=[register, sign_off, list_instances],
        provide={"leases": Leases(clock, lease_seconds), "boot": secrets.token_hex(4)},
        max_body_bytes=max_body_bytes,
    )
