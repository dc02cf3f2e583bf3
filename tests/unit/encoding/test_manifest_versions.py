"""Manifests that were stored by earlier versions stay readable, and the new fields survive storing."""

import msgspec

from kinema.model.encoding import (
    ByteRange,
    Chapter,
    Manifest,
    Marker,
    Protection,
    Segment,
    Tiles,
    Track,
    decode_manifest,
    encode_manifest,
)

STORED_BY_FIRST_LIGHT = b"""{"asset":"ast_1","version":3,"title_id":"ttl_1","duration_seconds":4.0,"created_at":12.5,"tracks":[
    {"name":"video-360p","kind":"video","digest":"aa","size":900,"codec":"avc1.64001e","bandwidth":1700,
     "average_bandwidth":1600,"init":{"offset":0,"length":60},"index":{"offset":60,"length":40},"timescale":12288,
     "segments":[{"offset":100,"length":800,"duration":49152,"digest":"bb"}],"width":640,"height":360,"frame_rate":"24/1",
     "sample_rate":0,"channels":0,"language":"und","label":""}]}"""

SEGMENT = Segment(100, 800, 49152, "bb", vmaf=93.5, keyframe=310)
VIDEO = Track(
    name="video-360p",
    kind="video",
    digest="aa",
    size=900,
    codec="avc1.64001e",
    bandwidth=1700,
    average_bandwidth=1600,
    init=ByteRange(0, 60),
    index=ByteRange(60, 40),
    timescale=12288,
    segments=(SEGMENT,),
    key_id="0" * 32,
)


def test_a_manifest_of_first_light_is_read_with_the_defaults_of_what_came_later():
    manifest = decode_manifest(STORED_BY_FIRST_LIGHT)
    (track,) = manifest.tracks
    assert track.segments == (Segment(100, 800, 49152, "bb"),)
    assert (track.key_id, track.roles, track.tiles) == ("", (), None)
    assert (manifest.chapters, manifest.markers, manifest.protection, manifest.quality_model) == ((), (), None, "")


def test_what_a_manifest_says_survives_storing():
    sheet = Track(
        "thumbnails-1", "image", "cc", 70, "jpeg", 140, 140, ByteRange(0, 0), ByteRange(0, 0), 1, (SEGMENT,),
        tiles=Tiles(columns=4, rows=2, width=160, height=90, seconds=2.0),
    )  # fmt: skip
    manifest = Manifest(
        asset="ast_1",
        version=4,
        title_id="ttl_1",
        duration_seconds=4.0,
        created_at=1.0,
        tracks=(VIDEO, sheet),
        chapters=(Chapter(0.0, 2.0, "Dawn"),),
        markers=(Marker("intro", 0.5, 1.5),),
        protection=Protection("cbcs", ("0" * 32,)),
        quality_model="vmaf_v0.6.1",
    )
    assert decode_manifest(encode_manifest(manifest)) == manifest


def test_what_nobody_measured_takes_no_room():
    assert msgspec.json.encode(Segment(1, 2, 3, "d")) == b'{"offset":1,"length":2,"duration":3,"digest":"d"}'
