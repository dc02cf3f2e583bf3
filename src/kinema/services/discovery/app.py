"""Discovery's own HTTP API, for identities that the region has sealed, and the contracts of others in front of it."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated

from litestar import Litestar, Response, delete, get, put
from litestar.params import Parameter

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, NotFound
from kinema.core.keys import KeyRing
from kinema.core.log import get_logger
from kinema.core.properties import Properties
from kinema.http import Client
from kinema.model.discovery import Instance, RegistryState, StatusOverride
from kinema.rpc.badge import Badge
from kinema.rpc.conditional import conditional
from kinema.rpc.service import AnyRequest, create_app, needs
from kinema.services.discovery.envoy import Endpoints
from kinema.services.discovery.eureka import Eureka
from kinema.services.discovery.instances import InstanceRegistry
from kinema.services.discovery.lease_time import TICK_SECONDS
from kinema.services.discovery.remote_regions import RemoteRegion, RemoteRegions
from kinema.services.discovery.replication import Peer, Replication
from kinema.services.discovery.signed import LEASE_SECONDS
from kinema.services.discovery.state import state_of
from kinema.services.discovery.status import STATUSES
from kinema.services.discovery.surface import Access, Surface

_FIRST_SYNC_SECONDS = 1.5
_log = get_logger(__name__)

Name = Annotated[str, Parameter(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


@put("/v1/registry/{service:str}/{instance:str}", operation_id="register", status_code=204, guards=[needs("service")])
async def register(service: Name, instance: Name, data: Instance, registry: InstanceRegistry) -> None:
    """Register an instance, or keep it registered: the same request each two seconds."""
    if (data.service, data.instance) != (service, instance):
        raise BadInput(f"The body names {data.service}/{data.instance}, the path {service}/{instance}; send one name.")
    registry.register_signed(data)


@delete("/v1/registry/{service:str}/{instance:str}", operation_id="signOff", status_code=204, guards=[needs("service")])
async def sign_off(service: Name, instance: Name, registry: InstanceRegistry) -> None:
    """Take an instance out at once: what it does when it stops cleanly."""
    key = (service.upper(), instance)
    if key in registry.entries.signed:
        registry.cancel(key)


@put(
    "/v1/registry/{service:str}/{instance:str}/status",
    operation_id="overrideStatus",
    status_code=204,
    guards=[needs("operator")],
)
async def override_status(service: Name, instance: Name, data: StatusOverride, registry: InstanceRegistry) -> None:
    """Decide on an instance's status: nothing is called that is OUT_OF_SERVICE. It holds until the instance is gone."""
    if data.status not in STATUSES:
        raise BadInput(f"The status {data.status[:50]!r} is none of {', '.join(sorted(STATUSES))}.")
    if not registry.override((service.upper(), instance), data.status):
        raise NotFound(f"There is no instance {service[:100]}/{instance[:100]}.")


@delete(
    "/v1/registry/{service:str}/{instance:str}/status",
    operation_id="restoreStatus",
    status_code=204,
    guards=[needs("operator")],
)
async def restore_status(service: Name, instance: Name, registry: InstanceRegistry) -> None:
    """Let an instance's status be what it says itself again."""
    if not registry.restore((service.upper(), instance)):
        raise NotFound(f"There is no instance {service[:100]}/{instance[:100]}.")


@get("/v1/registry", operation_id="listInstances", guards=[needs("service")], response_headers=None)
async def list_instances(request: AnyRequest, registry: InstanceRegistry, boot: str) -> Response[bytes]:
    """All live instances of the region's own services; answers 304 to who has them already."""
    etag = f"{boot}-{registry.signed_version()}-{int(registry.settled)}"
    return conditional(request, etag, registry.registry)


@get("/v1/registry/state", operation_id="registryState", guards=[needs("operator")])
async def registry_state(
    name: str, registry: InstanceRegistry, replication: Replication, properties: Properties
) -> RegistryState:
    """The registry from inside: leases with their ages, renewals, self-preservation, peers."""
    return state_of(name, registry, replication, properties)


def create_discovery(
    *,
    instance: str,
    keys: KeyRing,
    clock: Clock,
    client: Client | None = None,
    peers: Sequence[str] = (),
    region: str = "home",
    regions: Mapping[str, Sequence[str]] | None = None,
    token: str = "",
    properties: Properties | None = None,
    random: Random | None = None,
    lease_seconds: float = LEASE_SECONDS,
    max_body_bytes: int = 32_768,
) -> Litestar:
    """Return the app of one registry; it holds its leases in memory and tells `peers` (host:port) what it hears.

    `regions` are the registries (host:port) of other regions, by name. `token` guards the contracts of others (see surface.py).
    """
    properties = properties or Properties()
    registry = InstanceRegistry(clock, random=random, properties=properties, lease_seconds=lease_seconds)
    badge = Badge(instance, keys, clock)
    calls = client or Client()
    replication = Replication(registry, [Peer(peer, registry, calls, badge, clock, token) for peer in peers])
    remote = RemoteRegions(
        {name: RemoteRegion(name, addresses, calls, clock, token) for name, addresses in (regions or {}).items()}
    )
    upkeep: list[asyncio.Task[None]] = []

    async def keep() -> None:
        while True:
            await clock.sleep(TICK_SECONDS)
            try:
                registry.tick()
            except Exception as error:  # noqa: BLE001 -- one failed look at the leases must not be the last
                _log.error("an unexpected error while leases were looked at", exc_info=error)

    async def start() -> None:
        await replication.start(_FIRST_SYNC_SECONDS)
        remote.start()
        upkeep.append(asyncio.create_task(keep()))

    async def stop() -> None:
        for task in upkeep:
            task.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)
        await replication.close()
        await remote.close()
        if client is None:
            await calls.close()

    app = create_app(
        service="discovery",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=[register, sign_off, override_status, restore_status, list_instances, registry_state],
        provide={
            "registry": registry,
            "replication": replication,
            "properties": properties,
            "name": instance,
            "boot": secrets.token_hex(4),
        },
        on_startup=[start],
        on_shutdown=[stop],
        max_body_bytes=max_body_bytes,
    )
    access = Access(keys, clock, token)
    # In front of the framework, whose way to a handler costs a heartbeat six times what it needs.
    app.asgi_handler = Surface(
        app.asgi_handler, {"eureka": Eureka(registry, access, remote), "v3": Endpoints(registry, access, region)}
    )
    return app
