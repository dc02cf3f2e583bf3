"""Streams with GOPs of varying length become segments of just these, in every codec, clear and encrypted."""

import subprocess
from fractions import Fraction
from itertools import accumulate

import msgspec
import pytest
from mpegdash.parser import MPEGDASHParser

from kinema.services.encoding.inspection import AudioFacts
from kinema.services.encoding.packaging import command
from kinema.services.encoding.packaging.command import ContentKey
from kinema.services.encoding.packaging.mp4 import BadTrack
from kinema.services.encoding.packaging.tracks import audio_track, video_track, with_quality
from kinema.services.encoding.tools import find_tools
from kinema.services.encoding.verification import NotVerified, verify_video
from tests.support.clips import ffmpeg

RATE = 24
GOPS = (18, 30, 7, 17)  # pictures
ENCODERS = {
    "avc1": ("-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=infinite:scenecut=0:open-gop=0"),
    "hvc1": (
        "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1",
        "-x265-params", "keyint=-1:min-keyint=1:scenecut=0:open-gop=0:log-level=error:pools=1",
    ),
    "av01": ("-c:v", "libsvtav1", "-preset", "11", "-svtav1-params", "keyint=-1:scd=0:lp=1"),
}  # fmt: skip
SOUND = AudioFacts(index=0, codec="any", channels=2, sample_rate=48000, language="und", label="")
KEY = ContentKey(
    key_id="00112233445566778899aabbccddeeff",
    key="0123456789abcdef0123456789abcdef",
    iv="f0e1d2c3b4a5968778695a4b3c2d1e0f",
)


class Size(msgspec.Struct, frozen=True):
    name: str
    width: int
    height: int


SMALL = Size("video-90p", 160, 90)


def execute(arguments):
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def decodes(path):
    """Say whether ffmpeg finds nothing wrong with a file."""
    check = ["-v", "error", "-xerror", "-err_detect", "explode", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run([find_tools().ffmpeg, *check], capture_output=True, check=False)
    return not done.returncode and not done.stderr


def first_picture(path):
    """Return the luma of the first picture in a file."""
    show = ["-v", "quiet", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    return subprocess.run([find_tools().ffmpeg, *show], capture_output=True, check=True).stdout


@pytest.fixture(scope="module", params=ENCODERS)
def stream(request, tmp_path_factory):
    """An encoded stream with key frames where GOPS says, and the family of its codec."""
    path = tmp_path_factory.mktemp("streams") / f"{request.param}.mp4"
    starts = [0, *accumulate(GOPS)][:-1]
    ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=size=160x90:rate={RATE}:duration={sum(GOPS) / RATE}", "-pix_fmt", "yuv420p",
        *ENCODERS[request.param], "-force_key_frames", "expr:" + "+".join(f"eq(n,{start})" for start in starts), str(path),
    )  # fmt: skip
    return request.param, path


@pytest.fixture
def packaged(stream, tmp_path):
    output = tmp_path / "packaged.mp4"
    execute(command.package(find_tools(), stream[1], "video", output, tmp_path))
    return output


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys"
    path.write_text(command.key_file(KEY))
    return path


async def test_each_gop_is_a_segment_however_long_it_is(stream, packaged):
    track = await video_track(packaged, SMALL, f"{RATE}/1")
    assert [Fraction(one.duration, track.timescale) * RATE for one in track.segments] == list(GOPS)
    await verify_video(packaged, track, GOPS, find_tools())
    with pytest.raises(NotVerified, match="key frames"):
        await verify_video(packaged, track, (18, 30, 8, 16), find_tools())


async def test_the_codec_is_named_as_the_packager_names_it(stream, tmp_path):
    family, source = stream
    output = tmp_path / "packaged.mp4"
    described = tmp_path / "dash.mpd"
    arguments = command.package(find_tools(), source, "video", output, tmp_path)
    execute([*arguments, "--mpd_output", str(described)])
    track = await video_track(output, SMALL, f"{RATE}/1")
    theirs = MPEGDASHParser.parse(described.read_text())
    (adaptation,) = theirs.periods[0].adaptation_sets
    assert track.codec == adaptation.representations[0].codecs
    assert track.codec.startswith(f"{family}.")
    assert track.video_range == "SDR"


async def test_a_key_frame_is_all_that_is_needed_to_show_a_picture(packaged, tmp_path):
    track = await video_track(packaged, SMALL, f"{RATE}/1")
    body = packaged.read_bytes()
    for segment in track.segments:
        assert 0 < segment.keyframe < segment.length
        cut = tmp_path / "picture.mp4"
        cut.write_bytes(body[: track.init.length] + body[segment.offset : segment.offset + segment.keyframe])
        assert len(first_picture(cut)) == 160 * 90
        cut.write_bytes(cut.read_bytes()[:-200])
        assert not decodes(cut), "less than that is not enough"


async def test_encryption_is_undone_to_the_byte_and_leaves_nothing_to_see(stream, packaged, keys, tmp_path):
    encrypted, decrypted = tmp_path / "encrypted.mp4", tmp_path / "decrypted.mp4"
    tools = find_tools()
    execute(command.encrypt(tools, packaged, "video", encrypted, tmp_path, keys))
    track = await video_track(encrypted, SMALL, f"{RATE}/1")
    clear = await video_track(packaged, SMALL, f"{RATE}/1")
    assert (track.key_id, clear.key_id) == (KEY.key_id, "")
    assert track.codec == clear.codec
    assert [one.duration for one in track.segments] == [one.duration for one in clear.segments]
    assert all(one.keyframe > other.keyframe for one, other in zip(track.segments, clear.segments, strict=True))
    assert not decodes(encrypted)
    execute(command.decrypt(tools, encrypted, "video", decrypted, tmp_path, keys))
    assert decrypted.read_bytes() == packaged.read_bytes()


@pytest.mark.parametrize(("encoder", "name"), [("aac", "mp4a.40.2"), ("libopus", "opus")])
async def test_sound_is_described_clear_and_encrypted(encoder, name, keys, tmp_path):
    source, packaged, encrypted = (tmp_path / f"{part}.mp4" for part in ("source", "packaged", "encrypted"))
    ffmpeg("-f", "lavfi", "-i", "sine=duration=9:sample_rate=48000", "-ac", "2", "-c:a", encoder, str(source))
    execute(command.package(find_tools(), source, "audio", packaged, tmp_path))
    execute(command.encrypt(find_tools(), packaged, "audio", encrypted, tmp_path, keys))
    clear, track = await audio_track(packaged, SOUND, "sound"), await audio_track(encrypted, SOUND, "sound")
    assert clear.codec == track.codec == name
    assert (track.channels, track.sample_rate, track.key_id) == (2, 48000, KEY.key_id)
    assert [one.keyframe for one in track.segments] == [0, 0, 0]


async def test_a_score_belongs_to_each_segment(packaged):
    track = await video_track(packaged, SMALL, f"{RATE}/1", (90.0, 91.126, 92.0, 93.0))
    assert [one.vmaf for one in track.segments] == [90.0, 91.13, 92.0, 93.0]
    with pytest.raises(BadTrack, match="3 segments"):
        with_quality(track, (90.0, 91.0, 92.0))


def test_a_key_is_not_told_by_what_is_logged():
    assert KEY.key not in f"{KEY} {KEY!r} {(KEY,)}"
