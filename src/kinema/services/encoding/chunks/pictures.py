"""Exactly the pictures [start, start + frames) of a film, without decoding all those before them.

The film's pictures are those that the timing filters give when it is decoded from its start: picture n is shown at n / rate.
To begin further behind, ffmpeg is told to keep the file's own times (`-copyts -start_at_zero`), goes to the key
frame at or before a point a little ahead of `start`, and decodes from there without dropping anything. The times are
those of a run from the start and the picture that is on screen at `start` is that key frame or one after it; so the same filters
choose the same pictures, also where the distances between them vary.

That rests on three things: the container has an index with exact times, its clock does not jump, and a key frame of the codec
really lets decoding begin. Where one of them is missing, a lossless copy of the film at its constant rate stands for it (see
`mezzanine`), of which all three are true.
"""

from fractions import Fraction
from pathlib import Path

from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.tools import INPUT_GUARDS

_INDEXED = ("mov,mp4", "matroska")
_CODECS = frozenset({"h264", "hevc", "av1", "vp8", "vp9", "ffv1", "prores", "dnxhd", "mjpeg", "mpeg4", "rawvideo"})
_AHEAD_SECONDS = 1.0  # pictures that a deinterlacer looks at, and the order of decoding against that of showing
SPARE_SECONDS = 1.0  # by which a film may end too early; its last picture is repeated


def can_seek(facts: Facts) -> bool:
    """Whether the pictures of this source can be had from anywhere in it, exactly."""
    return facts.seekable and facts.container.startswith(_INDEXED) and facts.codec in _CODECS


def opened(source: Path, facts: Facts, start: int, threads: int) -> list[str]:
    """Return ffmpeg's options that open a source such that `picked` can begin at picture `start`."""
    seconds = start / Fraction(facts.frame_rate) - _AHEAD_SECONDS
    place = ["-noaccurate_seek", "-ss", f"{float(seconds):.6f}"] if seconds > 0 else []
    return [
        "-copyts", "-start_at_zero", *place, "-threads", str(threads), *INPUT_GUARDS, "-i", f"file:{source}",
    ]  # fmt: skip


def picked(facts: Facts, start: int, frames: int) -> list[str]:
    """Return the filters behind the timing filters that leave these pictures, the first one at time 0."""
    spare = max(1, round(SPARE_SECONDS * Fraction(facts.frame_rate)))
    return [
        f"tpad=stop_mode=clone:stop={spare}",
        f"trim=start_frame={start}:end_frame={start + frames}",
        "setpts=PTS-STARTPTS",
    ]
