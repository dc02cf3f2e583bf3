import asyncio

import pytest

from kinema.core.clock import SystemClock
from kinema.core.errors import NotFound
from kinema.model.encoding import decode_manifest, encode_manifest, manifest_key
from kinema.services.playback import manifests as module
from kinema.services.playback.manifests import Manifests
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.cache_loading import LoadingCache
from kinema.storage.cache_memory import MemoryCache
from tests.unit.playback.test_texts import audio, manifest, video

ASSET = "ast_00000000000000000000000001"


class CountingBlobs(FileBlobs):
    reads = 0

    def get(self, key, start=0, length=None):
        self.reads += 1
        return super().get(key, start, length)


@pytest.fixture
def blobs(tmp_path):
    return CountingBlobs(tmp_path)


@pytest.fixture
def cache():
    return LoadingCache(MemoryCache(), "manifests", SystemClock())


@pytest.fixture
def decoded(monkeypatch):
    """Counts what is decoded, by the real decoder."""
    count = []

    def counting(body):
        count.append(len(body))
        return decode_manifest(body)

    monkeypatch.setattr(module, "decode_manifest", counting)
    return count


async def stored(blobs, version=1):
    made = manifest(video(), audio())
    one = type(made)(ASSET, version, "ttl_00000000000000000000000001", 6.0, 0.0, made.tracks)
    await blobs.put(manifest_key(ASSET, version), encode_manifest(one))
    return one


async def test_a_premiere_reads_and_decodes_its_manifest_once(blobs, cache, decoded):
    one = await stored(blobs)
    manifests = Manifests(blobs, cache)
    assert await asyncio.gather(*(manifests.get(ASSET, 1) for _ in range(1000))) == [one] * 1000
    assert (blobs.reads, len(decoded)) == (1, 1)


async def test_instances_that_share_a_cache_read_blobs_once(blobs, cache):
    one = await stored(blobs)
    for _ in range(3):
        assert await Manifests(blobs, cache).get(ASSET, 1) == one
    assert blobs.reads == 1


async def test_a_version_that_is_missing_now_is_found_as_soon_as_it_is_stored(blobs, cache):
    manifests = Manifests(blobs, cache)
    with pytest.raises(NotFound, match="Version 1"):
        await manifests.get(ASSET, 1)
    one = await stored(blobs)
    assert await manifests.get(ASSET, 1) == one
