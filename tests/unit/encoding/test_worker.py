"""From an upload to a playing title, with real encoders."""

from fractions import Fraction

from kinema.storage.content import content_key


async def test_an_upload_becomes_a_title_rung_by_rung(opened, clip):
    room, client = opened
    title_id = await room.upload(client, clip, title="The tone")
    async with room.worker():
        (job,) = await room.ended()
    assert (job.state, job.error, job.progress, job.title) == ("done", None, 1.0, "The tone")
    assert [(rung.name, rung.state) for rung in job.rungs] == [
        ("video-360p", "published"),
        ("video-480p", "published"),
        ("video-240p", "published"),
    ]
    assert [title for title, _ in room.announced] == [title_id] * 3
    said = [publication for _, publication in room.announced]
    assert [each.manifest_version for each in said] == [1, 2, 3]
    assert [each.complete for each in said] == [False, False, True]
    assert [[rung.height for rung in each.rungs] for each in said] == [[360], [360, 480], [240, 360, 480]]
    assert await room.blobs.size(content_key("artwork", said[0].poster)) > 1000

    manifest = await room.manifest(said[-1])
    assert [track.name for track in manifest.tracks] == [
        "video-240p",
        "video-360p",
        "video-480p",
        "audio-und-aac-128k",
    ]
    for track in manifest.tracks:
        assert await room.blobs.size(content_key("media", track.digest)) == track.size
        assert track.segments[-1].offset + track.segments[-1].length == track.size
        assert track.bandwidth >= track.average_bandwidth > 0
    cuts = {
        tuple(Fraction(segment.duration, track.timescale) for segment in track.segments)
        for track in manifest.tracks
        if track.kind == "video"
    }
    assert cuts == {(4, 4, 1)}
    # Nothing of the way there stays: neither parts nor encoded streams.
    assert await room.keys_under("uploads", "steps") == set()
