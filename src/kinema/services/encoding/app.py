"""The encoding service's app: its parts put together. The worker, which does the encoding, is a process of its own."""

from typing import Protocol, TypeVar

from litestar import Litestar

from kinema.core.clock import Clock
from kinema.core.keys import KeyRing
from kinema.core.properties import Properties
from kinema.model.catalog import AssetVersion, AssetVersions, Publication, Published
from kinema.model.playback import Leases
from kinema.rpc.idempotency import Idempotency
from kinema.rpc.service import create_app
from kinema.services.encoding.collection import Collection
from kinema.services.encoding.endpoints import ROUTES
from kinema.services.encoding.flow.backfills import BackfillStore
from kinema.services.encoding.flow.reports import Reports
from kinema.services.encoding.flow_endpoints import FLOW_ROUTES
from kinema.services.encoding.jobs import Jobs
from kinema.services.encoding.protection.endpoints import KEY_ROUTES
from kinema.services.encoding.protection.keys import KeyStore
from kinema.services.encoding.publisher import Publisher
from kinema.services.encoding.tables import idempotency
from kinema.services.encoding.upload_endpoints import UPLOAD_ROUTES
from kinema.services.encoding.uploads import Uploads
from kinema.storage.ports import Blobs, Sql

T = TypeVar("T")


class Calls(Protocol):
    """The part of rpc that encoding's API needs: one call to another service."""

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        *,
        type: type[T],  # noqa: A002 -- rpc's name for it
    ) -> T:
        """Return the answer; a problem is raised as the matching core error."""
        ...


def create_encoding(
    *,
    instance: str,
    sql: Sql,
    blobs: Blobs,
    keys: KeyRing,
    clock: Clock,
    calls: Calls,
    upload_limit_bytes: int,
    properties: Properties | None = None,
) -> Litestar:
    """Return the app of one encoding instance; it brings its tables up to date when it starts.

    `calls` is rpc's client; `upload_limit_bytes` is the largest film taken. The caller owns `sql` and closes it after the app.
    """

    async def in_use() -> frozenset[AssetVersion]:
        # Catalog first: a play that starts meanwhile starts from what catalog has named.
        named = await calls.call("catalog", "GET", "/v1/internal/assets", type=AssetVersions)
        played = await calls.call("playback", "GET", "/v1/internal/plays/leases", type=Leases)
        return frozenset(named.versions) | {AssetVersion(lease.asset, lease.version) for lease in played.leases}

    key_store = KeyStore(sql, keys, clock)

    async def announce(title_id: str, publication: Publication) -> None:
        await calls.call("catalog", "PUT", f"/v1/titles/{title_id}/publication", publication, type=Published)

    publisher = Publisher(sql, blobs, clock, announce)

    async def migrate() -> None:
        await sql.migrate("encoding")
        await key_store.reseal()

    return create_app(
        service="encoding",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=[*ROUTES, *FLOW_ROUTES, *KEY_ROUTES, UPLOAD_ROUTES],
        provide={
            "uploads": Uploads(sql, blobs, clock, upload_limit_bytes),
            "job_store": Jobs(sql, clock),
            "collection": Collection(sql, blobs, clock, in_use),
            "backfill_store": BackfillStore(sql, clock, calls, publisher, properties or Properties()),
            "reports": Reports(sql),
            "blobs": blobs,
            "key_store": key_store,
            "cursor_keys": keys,
            "idempotency": Idempotency(sql, clock, idempotency),
        },
        on_startup=[migrate],
    )
