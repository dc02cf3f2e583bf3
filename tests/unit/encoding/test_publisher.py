"""Announcing: a poster that catalog's collection deleted is brought back, a refusal of catalog's ends the job."""

import pytest

from kinema.core.errors import Conflict
from kinema.services.encoding.job_rows import Work
from kinema.services.encoding.publisher import Publisher
from kinema.storage.content import content_key, store

WORK = Work("job_1", "ttl_1", "upl_1", "ast_1", "Film", "0" * 64, False, 0.0)


async def publish(room, announce):
    async def cut_poster():
        return await store(room.blobs, "artwork", b"a picture")

    publisher = Publisher(room.sql, room.blobs, room.clock, announce)
    return await publisher.publish(WORK, (), 1.0, cut_poster, complete=True)


async def test_a_poster_that_was_deleted_is_stored_again(opened):
    room, _ = opened
    heard = []

    async def announce(title_id, publication):
        heard.append(publication)
        if len(heard) == 1:
            await room.blobs.delete(content_key("artwork", publication.poster))
            raise Conflict("The poster is not stored.")
        assert await room.blobs.size(content_key("artwork", publication.poster))

    assert await publish(room, announce) == 1
    assert len(heard) == 2


async def test_another_conflict_is_catalogs_last_word(opened):
    room, _ = opened
    heard = []

    async def announce(title_id, publication):
        heard.append(publication)
        raise Conflict("The manifest is not stored.")

    with pytest.raises(Conflict, match="manifest"):
        await publish(room, announce)
    assert len(heard) == 1
