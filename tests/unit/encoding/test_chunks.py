"""Chunks: exactly the pictures that were asked for, key frames where GOPs begin, joined as if encoded in one go."""

from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest

from kinema.services.encoding.chunks.encode import ENCODE_CHUNK, Encode, encode_chunk, parts
from kinema.services.encoding.chunks.join import concatenate
from kinema.services.encoding.chunks.packets import list_packets
from kinema.services.encoding.chunks.pictures import opened, picked
from kinema.services.encoding.codecs.table import CODECS, codec_named
from kinema.services.encoding.execution.work import Context
from kinema.services.encoding.inspection import inspect, picture_filters, timing_filters, video_filters
from kinema.services.encoding.shots.timeline import Gop
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import content_key, store
from tests.support import clips
from tests.unit.encoding.pictures import sums

TOOLS = find_tools()


@pytest.fixture
def context(room, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Context(TOOLS, room.blobs, scratch)


@pytest.fixture
def room(opened):
    return opened[0]


def film_of(kind, path):
    films = {
        "open GOPs and B pictures": ("mp4", ("-x264-params", "open-gop=1:keyint=30:bframes=3:b-pyramid=normal")),
        "uneven times": ("mkv", ("-vf", "select='not(mod(n,5))+lt(mod(n,40),9)'", "-fps_mode", "vfr")),
        "sound before the pictures": ("mov", ("-vf", "setpts=PTS+0.43/TB", "-fps_mode", "passthrough")),
        "HEVC": ("mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=40")),
        "interlaced": ("mkv", ("-flags", "+ildct+ilme", "-vf", "tinterlace=interleave_top,fieldorder=tff")),
    }
    suffix, extra = films[kind]
    return clips.make_clip(path.with_suffix(f".{suffix}"), seconds=7, size="192x108", rate="24", extra=extra)


@pytest.mark.parametrize(
    "kind", ["open GOPs and B pictures", "uneven times", "sound before the pictures", "HEVC", "interlaced"]
)
async def test_pictures_are_those_of_a_run_from_the_start(tmp_path, kind):
    film = film_of(kind, tmp_path / "film")
    facts = await inspect(film, TOOLS)
    timing = timing_filters(facts)
    whole = sums(["-i", str(film), "-map", f"0:{facts.video_index}", "-vf", ",".join(timing)])
    for start, frames in ((0, 20), (25, 13), (51, 30), (len(whole) - 20, 20)):
        filters = ",".join([*timing, *picked(facts, start, frames)])
        options = [*opened(film, facts, start, 1), "-map", f"0:{facts.video_index}", "-vf", filters]
        assert sums([*options, "-fps_mode", "passthrough"]) == whole[start : start + frames]


async def test_chunks_have_the_pictures_that_everybody_else_sees(tmp_path):
    """Bars, BT.601 and variable times: the chain of a chunk gives what the chain of a whole run gives."""
    film = tmp_path / "film.mp4"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=320x136:rate=24:duration=4", "-vf", "pad=320:180:0:22,select='not(mod(n,5))+lt(mod(n,40),9)'",
        "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "12", str(film),
    )  # fmt: skip
    facts = await inspect(film, TOOLS)
    assert facts.crop is not None
    assert facts.color.matrix == "smpte170m"
    whole = sums(["-i", str(film), "-vf", video_filters(facts, 160, 68)])
    filters = ",".join([*timing_filters(facts), *picked(facts, 50, 20), *picture_filters(facts, 160, 68)])
    assert sums([*opened(film, facts, 50, 1), "-vf", filters, "-fps_mode", "passthrough"]) == whole[50:70]


async def encode_of(context, clip, codec, **changes):
    facts = await inspect(clip, TOOLS)
    encode = Encode(
        source=await store(context.blobs, "sources", clip),
        facts=facts,
        codec=codec,
        preset=min(codec_named(codec).seconds, key=codec_named(codec).seconds.__getitem__),
        width=320,
        height=180,
        start=0,
        frames=60,
        gops=(Gop(0, 25), Gop(25, 35)),
        crfs=((0, 60, 30.0),),
        peak_bits_per_second=2_000_000,
        buffer_bits=4_000_000,
    )
    return msgspec.structs.replace(encode, **changes)


def path_of(context, encoded):
    return context.blobs.local_path(content_key("steps", encoded.digest))


@pytest.mark.parametrize("codec", CODECS)
async def test_chunks_are_joined_to_what_looks_like_one_encode(context, clip, codec):
    encode = await encode_of(context, clip, codec)
    second = msgspec.structs.replace(encode, start=60, frames=48, gops=(Gop(60, 48),), crfs=((60, 48, 33.0),))
    chunks = [await encode_chunk(context, each) for each in (encode, second)]
    joined = context.fresh("mp4")
    rate = Fraction(encode.facts.frame_rate)
    await concatenate(TOOLS, [(path_of(context, chunk), chunk.frames) for chunk in chunks], rate, joined)
    packets = await list_packets(TOOLS, joined)
    times = sorted(packet.time for packet in packets)
    assert [index for index, packet in enumerate(packets) if packet.key] == [0, 25, 60]
    assert {after - before for before, after in pairwise(times)} == {times[1] - times[0]}
    assert len(sums(["-xerror", "-i", str(joined)])) == 108
    assert sum(packet.size for packet in packets) == sum(sum(chunk.gop_bytes) for chunk in chunks)
    assert all(chunk.cpu_seconds > 0 for chunk in chunks)


@pytest.mark.parametrize("codec", CODECS)
async def test_the_same_chunk_has_the_same_bytes_and_each_shot_its_own_quality(context, clip, codec):
    encode = await encode_of(context, clip, codec)
    alike, again = [await encode_chunk(context, encode) for _ in range(2)]
    assert alike.digest == again.digest
    worse = await encode_chunk(context, msgspec.structs.replace(encode, crfs=((0, 60, 34.0),)))
    mixed = await encode_chunk(context, msgspec.structs.replace(encode, crfs=((0, 25, 30.0), (25, 35, 34.0))))
    assert mixed.gop_bytes[0] == pytest.approx(alike.gop_bytes[0], rel=0.03)
    assert mixed.gop_bytes[1] == pytest.approx(worse.gop_bytes[1], rel=0.06)
    assert worse.gop_bytes[1] < 0.85 * alike.gop_bytes[1]


async def test_encoders_that_keep_one_crf_are_run_once_for_each(context, clip):
    crfs = ((0, 10, 30.0), (10, 15, 30.0), (25, 35, 40.0))
    encode = await encode_of(context, clip, "svt-av1", crfs=crfs)
    assert [(part.start, part.frames, part.crfs[0][2]) for part in parts(encode)] == [(0, 25, 30.0), (25, 35, 40.0)]
    assert [part.gops for part in parts(encode)] == [(Gop(0, 25),), (Gop(25, 35),)]
    assert parts(msgspec.structs.replace(encode, codec="x264")) == (msgspec.structs.replace(encode, codec="x264"),)


async def test_costs_grow_with_pixels_and_pictures(context, clip):
    encode = await encode_of(context, clip, "x264")
    small = ENCODE_CHUNK.cost(encode)
    large = ENCODE_CHUNK.cost(msgspec.structs.replace(encode, width=640, height=360))
    longer = ENCODE_CHUNK.cost(msgspec.structs.replace(encode, frames=120))
    assert small.threads == large.threads == 1
    assert small.memory_bytes < large.memory_bytes
    assert small.cpu_seconds < large.cpu_seconds
    assert longer.cpu_seconds == pytest.approx(2 * small.cpu_seconds)
