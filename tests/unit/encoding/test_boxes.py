"""The reader of packaged tracks: right on real ones, and never anything but BadTrack on others."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.packaging.boxes import head_size, parse
from kinema.services.encoding.packaging.command import package
from kinema.services.encoding.packaging.mp4 import BadTrack
from kinema.services.encoding.tools import find_tools, run


@pytest.fixture(scope="session")
def packaged(tmp_path_factory, clip):
    import subprocess

    output = tmp_path_factory.mktemp("packaged") / "track.mp4"
    command = package(find_tools(), clip, "video", output, output.parent)
    # The clip has one GOP of its own making: a single segment is enough here.
    subprocess.run(command, check=True)
    return output.read_bytes()


def test_a_real_track_is_described(packaged):
    layout = parse(packaged, len(packaged))
    assert layout.init.offset == 0
    assert packaged[layout.init.length :][4:8] == b"sidx"
    assert layout.index.offset == layout.init.length
    assert (layout.handler, layout.width, layout.height) == ("vide", 854, 480)
    assert layout.codec.startswith("avc1.")
    assert len(layout.codec) == 11
    for segment in layout.segments:
        assert packaged[segment.offset + 4 : segment.offset + 8] == b"moof"
    assert sum(segment.duration for segment in layout.segments) == 9 * layout.timescale
    assert layout.segments[0].starts_with_sap


def test_the_head_is_enough(packaged):
    needed = 64
    while (more := head_size(packaged[:needed], len(packaged))) > needed:
        needed = more
    assert needed < len(packaged) / 10
    assert parse(packaged[:needed], len(packaged)) == parse(packaged, len(packaged))


@given(st.data())
def test_damage_is_told_and_nothing_worse(packaged, data):
    head = bytearray(packaged[:4096])
    for _ in range(data.draw(st.integers(1, 8))):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(head)))
    try:
        layout = parse(bytes(head[:cut]), len(packaged))
    except BadTrack:
        return
    for segment in layout.segments:
        assert 0 < segment.offset < segment.offset + segment.length <= len(packaged)


@given(st.binary(max_size=300))
def test_other_bytes_are_no_track(body):
    with pytest.raises(BadTrack):
        parse(body, len(body))


def test_an_index_that_points_elsewhere_is_refused(packaged):
    at = packaged.index(b"sidx") + 4
    moved = bytearray(packaged)
    # reference_type 1: the entry points at another index, which our tracks never have
    size_at = at + (28 if packaged[at] else 20) + 4
    (size,) = struct.unpack_from(">I", moved, size_at)
    struct.pack_into(">I", moved, size_at, size | 0x80000000)
    with pytest.raises(BadTrack):
        parse(bytes(moved), len(moved))


async def test_packaging_the_same_stream_twice_gives_the_same_bytes(tmp_path, clip):
    for name in ("a", "b"):
        await run(package(find_tools(), clip, "audio", tmp_path / f"{name}.mp4", tmp_path), 30)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
