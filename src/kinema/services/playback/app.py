"""The playback service's app: its parts put together."""

from litestar import Litestar

from kinema.core.clock import Clock
from kinema.core.keys import KeyRing
from kinema.rpc.idempotency import Idempotency
from kinema.rpc.service import create_app
from kinema.services.playback.calls import Calls, Directory
from kinema.services.playback.endpoints import ROUTES
from kinema.services.playback.licences import Licences
from kinema.services.playback.manifests import Manifests
from kinema.services.playback.repository import PlayRepository
from kinema.services.playback.service import Playback
from kinema.services.playback.tables import idempotency
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.ports import Blobs, Sql


def create_playback(
    *,
    instance: str,
    sql: Sql,
    blobs: Blobs,
    cache: LoadingCache,
    keys: KeyRing,
    clock: Clock,
    calls: Calls,
    directory: Directory,
    token_seconds: int,
) -> Litestar:
    """Return the app of one playback instance; it brings its tables up to date when it starts.

    `cache` is what manifests are read through; `calls` and `directory` are rpc's client and directory; `token_seconds` is how
    long a media token lives. The caller owns `sql` and `cache` and closes them after the app.
    """
    repository, manifests = PlayRepository(sql), Manifests(blobs, cache)
    playback = Playback(repository, manifests, keys, clock, calls, directory, token_seconds)
    licences = Licences(repository, manifests, keys, clock, calls)

    async def migrate() -> None:
        await sql.migrate("playback")

    return create_app(
        service="playback",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=ROUTES,
        provide={"playback": playback, "licences": licences, "idempotency": Idempotency(sql, clock, idempotency)},
        on_startup=[migrate],
    )
