from kinema.core.clock import SystemClock
from kinema.core.errors import NotFound
from kinema.core.keys import KeyRing
from kinema.services.playback.app import create_playback
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.engines import open_blobs, open_sql
from tests.support.api import no_faults
from tests.support.services import Instances, as_, edge


class EmptyCatalogue:
    async def call(self, service, method, path, *, type, identity=None):  # noqa: A002
        raise NotFound("There is no published title of this id.")


def test_no_request_makes_playback_fail(tmp_path):
    clock, keys = SystemClock(), KeyRing(tmp_path)
    app = create_playback(
        instance="playback-1",
        sql=open_sql(tmp_path, "", "playback"),
        blobs=open_blobs(tmp_path),
        cache=LoadingCache(MemoryCache(), "manifests", clock),
        keys=keys,
        clock=clock,
        calls=EmptyCatalogue(),
        directory=Instances(edge(":8081")),
        token_seconds=600,
    )
    no_faults(app, as_("service", keys, clock))
