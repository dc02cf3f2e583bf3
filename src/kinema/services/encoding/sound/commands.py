"""The command lines that measure and encode sound.

Time: ffmpeg moves a file's time stamps so that the first of the streams in use begins at 0, therefore every command that
reads a source uses its pictures and all its chosen sound, even where one of them goes to no file. Sound is padded or cut to
begin at 0, to follow its stamps and to end with the pictures. What an encoder puts in front of it (priming: 1024 samples of AAC,
312 of Opus) stands in the file's edit list, and players leave it out.

Down-mix: ITU-R BS.775, left + 0.707 centre + 0.707 left surround, without the low-frequency channel, in floating point, so that
nothing is cut off before the gain has made room.
"""

from pathlib import Path

from kinema.services.encoding.inspection import AudioFacts, Facts
from kinema.services.encoding.sound.renditions import STEREO, SoundRendition, has_surround
from kinema.services.encoding.tools import Tools, untrusted

SAMPLE_RATE = 48_000
_QUIET = ("-hide_banner", "-nostdin", "-y", "-nostats")
_TIMED = f"aresample={SAMPLE_RATE}:async=1000:first_pts=0:osf=fltp"
_LAYOUTS = {STEREO: "stereo", 6: "5.1"}
_CODECS = {
    "aac": ("-c:a", "aac"),
    "opus": ("-c:a", "libopus", "-vbr", "on", "-application", "audio", "-frame_duration", "20"),
}


def mix(channels: int) -> str:
    """Return the filter that mixes what is there to stereo (2) or 5.1 (6)."""
    layout = _LAYOUTS[channels]
    return f"aresample={SAMPLE_RATE}:osf=fltp:ochl={layout}:clev=0.707107:slev=0.707107:lfe_mix_level=0,aformat=channel_layouts={layout}"


def measure(tools: Tools, source: Path, facts: Facts, audio: AudioFacts) -> list[str]:
    """Return the command that measures a sound: each mix that will be made, and the centre where there is one."""
    parts = [f"[m0]{mix(STEREO)},ebur128@stereo=peak=true:framelog=quiet,anullsink"]
    if has_surround(audio):
        parts += [
            f"[m1]{mix(6)},asplit=2[m2][m3]",
            "[m2]ebur128@surround=peak=true:framelog=quiet,anullsink",
            "[m3]pan=mono|c0=FC,ebur128@centre=framelog=quiet,anullsink",
        ]
    outputs = 2 if has_surround(audio) else 1
    split = "".join(f"[m{number}]" for number in range(outputs))
    graph = ";".join([f"[0:{audio.index}]{_TIMED},asplit={outputs + 1}{split}[out]", *parts])
    return [
        tools.ffmpeg, *_QUIET, "-v", "info", *untrusted(source), "-filter_complex", graph,
        "-map", "[out]", "-t", f"{facts.duration_seconds:.6f}", "-f", "null", "-",
        *_nowhere(facts, audio),
    ]  # fmt: skip


def encode(
    tools: Tools, source: Path, facts: Facts, audio: AudioFacts, rendition: SoundRendition, gain_db: float, output: Path
) -> list[str]:
    """Return the command that encodes a sound whole, moved by a gain in dB."""
    filters = f"{_TIMED},{mix(rendition.channels)},volume={gain_db:g}dB:precision=float,apad"
    return [
        tools.ffmpeg, *_QUIET, "-v", "error", *untrusted(source),
        "-map", f"0:{audio.index}", "-map_metadata", "-1", "-map_chapters", "-1", "-vn", "-sn", "-dn",
        "-af", filters, "-t", f"{facts.duration_seconds:.6f}",
        *_CODECS[rendition.codec], "-b:a", str(rendition.bits_per_second), "-fflags", "+bitexact",
        "-f", "mp4", f"file:{output}",
        *_nowhere(facts, audio),
    ]  # fmt: skip


def _nowhere(facts: Facts, audio: AudioFacts) -> list[str]:
    """Return the output that keeps the other streams in use without decoding them."""
    streams = [facts.video_index, *(other.index for other in facts.audio if other != audio)]
    maps = [part for index in streams for part in ("-map", f"0:{index}")]
    return [*maps, "-c", "copy", "-f", "null", "-"]
