"""The catalog service's app: its parts put together."""

from litestar import Litestar

from kinema.core.clock import Clock
from kinema.core.keys import KeyRing
from kinema.rpc.service import create_app
from kinema.services.catalog.authoring import Authoring
from kinema.services.catalog.collection import Collection
from kinema.services.catalog.cycle import Cycle
from kinema.services.catalog.endpoints import ROUTES
from kinema.services.catalog.gallery import Gallery
from kinema.services.catalog.notices import Calls, Notices
from kinema.services.catalog.reader import Reader
from kinema.storage.ports import Blobs, Sql


def create_catalog(*, instance: str, sql: Sql, blobs: Blobs, keys: KeyRing, clock: Clock, calls: Calls) -> Litestar:
    """Return the app of one catalog instance; it brings its tables up to date and loads the catalogue when it starts.

    `calls` is rpc's client. The caller owns `sql` and closes it after the app.
    """
    cycle = Cycle(sql, blobs, clock)
    reader = Reader(sql, blobs, clock, cycle)
    notices = Notices(sql, clock, reader, calls)

    async def start() -> None:
        await sql.migrate("catalog")
        await reader.start()
        await notices.start()

    return create_app(
        service="catalog",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=ROUTES,
        provide={
            "reader": reader,
            "authoring": Authoring(sql, blobs, clock, cycle, reader),
            "collection": Collection(sql, blobs, clock),
            "gallery": Gallery(blobs),
            "cursor_keys": keys,
        },
        on_startup=[start],
        on_shutdown=[notices.stop, reader.stop],
        ready=lambda: reader.ready,
    )
