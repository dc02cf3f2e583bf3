"""The command lines of ffmpeg, as pure functions of facts and rungs.

Time: ffmpeg moves a file's time stamps so that the first of the streams in use begins at 0, therefore every command
that reads a source uses its pictures and all its chosen sound, even where one of them goes to no file. Pictures are
repeated or dropped to a constant rate from time 0 on, sound is padded or cut to begin at 0, to follow its stamps and to end with the pictures. So
tracks that were encoded apart begin together and stay together.
"""

from fractions import Fraction
from pathlib import Path

from kinema.services.encoding.inspection import Facts, still_filters, video_filters
from kinema.services.encoding.ladder import Rung, gop_frames
from kinema.services.encoding.tools import Tools, untrusted

_QUIET = ("-hide_banner", "-nostdin", "-y", "-v", "error")
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.5", "-nostats")


def _nowhere(streams: list[int]) -> list[str]:
    """Return the output that keeps streams in use without decoding them."""
    maps = [part for index in streams for part in ("-map", f"0:{index}")]
    return [*maps, "-c", "copy", "-f", "null", "-"] if streams else []


def encode_video(tools: Tools, source: Path, facts: Facts, rung: Rung, threads: int, output: Path) -> list[str]:
    """Return the command that makes one rung: plain pictures (`video_filters`), closed GOPs of equal length."""
    gop = gop_frames(Fraction(facts.frame_rate))
    parameters = f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:nal-hrd=none:force-cfr=1"
    return [
        tools.ffmpeg, *_QUIET, *_PROGRESS, *untrusted(source),
        "-map", f"0:{facts.video_index}", "-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn",
        "-vf", video_filters(facts, rung.width, rung.height), "-t", f"{facts.duration_seconds:.6f}",
        "-c:v", "libx264", "-preset", rung.preset, "-profile:v", "high", "-crf", str(rung.crf),
        "-maxrate", str(rung.peak_bits_per_second), "-bufsize", str(rung.buffer_bits),
        "-x264-params", parameters, "-threads", str(threads), "-f", "mp4", f"file:{output}",
        *_nowhere([audio.index for audio in facts.audio]),
    ]  # fmt: skip


def decode(tools: Tools, track: Path) -> list[str]:
    """Return the command that decodes one of our own tracks whole and stops at the first fault."""
    return [
        tools.ffmpeg, *_QUIET, *_PROGRESS, "-xerror", "-err_detect", "explode", "-i", f"file:{track}", "-f", "null", "-",
    ]  # fmt: skip


def list_packets(tools: Tools, track: Path) -> list[str]:
    """Return the command that lists presentation time and flags of each packet of one of our own tracks."""
    return [
        tools.ffprobe, "-v", "error", "-i", f"file:{track}", "-show_entries", "packet=pts,flags", "-of", "csv=p=0",
    ]  # fmt: skip


def poster(
    tools: Tools, source: Path, facts: Facts, at_seconds: float, width: int, height: int, output: Path
) -> list[str]:
    """Return the command that cuts a picture from the source: the most typical of the next 48, which is hardly ever a fade."""
    filters = f"{still_filters(facts, width, height)},format=yuvj420p"
    return [
        tools.ffmpeg, *_QUIET, *(["-ss", f"{at_seconds:.3f}"] if at_seconds else []), *untrusted(source), "-map", f"0:{facts.video_index}",
        "-vf", filters, "-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1", f"file:{output}",
    ]  # fmt: skip


def measure_luma(tools: Tools, picture: Path) -> list[str]:
    """Return the command that writes a picture's luma statistics to standard output."""
    return [
        tools.ffmpeg, *_QUIET, "-i", f"file:{picture}", "-vf", "scale=160:-2,format=yuv420p,signalstats,metadata=print:file=-",
        "-f", "null", "-",
    ]  # fmt: skip
