"""What a source is: the facts that the ladder and the encoder need, or one sentence why it cannot be encoded.

Two passes without decoding. The first reads the container's own description. The second reads every video packet's time
stamp, because descriptions lie: it tells a constant frame rate from a variable one, gives the true duration, and notices
a file that ends too early.
"""

import asyncio
import os
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from kinema.core.errors import Unsupported
from kinema.services.encoding.tools import ToolFailed, Tools, run, untrusted

STANDARD_RATES = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(48),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)
HIGHEST_RATE = Fraction(60)
_LOWEST_RATE = Fraction(1)
_AUDIO_TRACKS = 2
_SMALLEST_SIDE = 16
_LARGEST_SIDE = 8192
_SIGNS_OF_TRUNCATION = ("partial file", "File ended prematurely", "Truncat")
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_LONGEST_LAST_PICTURE = 10.0
_DESCRIBE_SECONDS = 60.0
_PACKETS_SECONDS = 3600.0


class Unusable(Unsupported):
    """A source cannot be made into a film; the sentence says why."""


class AudioFacts(msgspec.Struct, frozen=True):
    """An audio stream: its index in the file, channels, and BCP 47-ish language as the container has it."""

    index: int
    codec: str
    channels: int
    sample_rate: int
    language: str
    label: str


class Facts(msgspec.Struct, frozen=True):
    """A source that can be encoded. `width` and `height` are as shown: after rotation and with square pixels.

    `duration_seconds` is the time from the container's start to the end of the last picture; `frame_rate` is the constant
    rate to encode at ("30000/1001"); `audio` holds at most the first two streams.
    """

    container: str
    video_index: int
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation: int
    sample_aspect: str
    frame_rate: str
    variable_rate: bool
    interlaced: bool
    packets: int
    duration_seconds: float
    audio: tuple[AudioFacts, ...]


async def inspect(path: Path, tools: Tools) -> Facts:
    """Return the facts of a source file. Raises Unusable with a sentence for the person who sent it."""
    if (await asyncio.to_thread(os.stat, path)).st_size == 0:
        raise Unusable("The file is empty (0 bytes); send it again.")
    described = await _describe(path, tools)
    streams = described.get("streams", [])
    video = _video_stream(streams)
    if video is None:
        if any(stream.get("codec_type") == "audio" for stream in streams):
            raise Unusable("The file holds sound and no moving picture; send a film.")
        raise Unusable("The file holds no moving picture; send a film.")
    if video.get("codec_name", "unknown") in {"unknown", "none"}:
        raise Unusable(
            "The film's pictures are in a format that ffmpeg cannot decode; convert it to MP4 with H.264 first."
        )
    width, height, rotation = _shown_size(video)
    times, end = await _packet_times(path, int(video["index"]), tools)
    rate, variable = frame_rate(times, _fraction(video.get("r_frame_rate")))
    start = _seconds(described.get("format", {}).get("start_time")) or 0.0
    return Facts(
        container=str(described["format"].get("format_name", "")),
        video_index=int(video["index"]),
        codec=str(video["codec_name"]),
        pixel_format=str(video.get("pix_fmt", "")),
        width=width,
        height=height,
        rotation=rotation,
        sample_aspect=str(video.get("sample_aspect_ratio", "1:1")),
        frame_rate=f"{rate.numerator}/{rate.denominator}",
        variable_rate=variable,
        interlaced=video.get("field_order") in {"tt", "bb", "tb", "bt"},
        packets=len(times),
        duration_seconds=max(end, times[-1] + float(1 / rate)) - min(start, times[0]),
        audio=_audio(streams),
    )


async def _describe(path: Path, tools: Tools) -> dict[str, Any]:
    arguments = [tools.ffprobe, "-v", "error", "-hide_banner", *untrusted(path)]
    try:
        output = await run([*arguments, "-show_format", "-show_streams", "-of", "json"], _DESCRIBE_SECONDS)
    except ToolFailed as error:
        cut = "moov atom not found" in error.said and await asyncio.to_thread(_looks_like_mp4, path)
        if cut or any(sign in error.said for sign in _SIGNS_OF_TRUNCATION):
            raise Unusable("The film is cut short: its end is missing; send the whole file again.") from error
        raise Unusable(
            "The file is not a film in a format that is understood (MP4, MOV, Matroska, WebM, MPEG-TS, AVI and others)."
        ) from error
    described: dict[str, Any] = msgspec.json.decode(output.stdout)
    return described


def _looks_like_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] in _MP4_BOXES


def _video_stream(streams: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the stream to show: the one marked as default, else the first; cover pictures are none."""
    moving = [
        stream
        for stream in streams
        if stream.get("codec_type") == "video"
        and not stream.get("disposition", {}).get("attached_pic")
        and not stream.get("disposition", {}).get("timed_thumbnails")
    ]
    return max(moving, key=lambda stream: stream.get("disposition", {}).get("default", 0), default=None)


def _shown_size(video: dict[str, Any]) -> tuple[int, int, int]:
    """Return width and height with square pixels and upright, and the rotation in degrees (0, 90, 180, 270)."""
    width, height = int(video.get("width") or 0), int(video.get("height") or 0)
    if not (_SMALLEST_SIDE <= width <= _LARGEST_SIDE and _SMALLEST_SIDE <= height <= _LARGEST_SIDE):
        raise Unusable(
            f"The film's pictures are {width} x {height}; sides from {_SMALLEST_SIDE} to {_LARGEST_SIDE} pixels can be encoded."
        )
    aspect = _fraction(str(video.get("sample_aspect_ratio", "1:1")).replace(":", "/"))
    if aspect is not None and Fraction(1, 8) <= aspect <= 8 and aspect != 1:
        width, height = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    rotation = 0
    for side in video.get("side_data_list", []):
        rotation = round(float(side.get("rotation", 0)) / 90) * 90 % 360
        if rotation:
            break
    return (height, width, rotation) if rotation in {90, 270} else (width, height, rotation)


async def _packet_times(path: Path, index: int, tools: Tools) -> tuple[list[float], float]:
    """Return the sorted presentation times of the stream's packets and when the last picture ends, in seconds.

    Raises Unusable for a file that ends too early.
    """
    times: list[float] = []
    end = 0.0

    def take(line: str) -> None:
        nonlocal end
        time, _, lasts = line.strip().rstrip(",").partition(",")
        if (start := _seconds(time)) is not None:
            times.append(start)
            end = max(end, start + min(_seconds(lasts) or 0.0, _LONGEST_LAST_PICTURE))

    show = ["-select_streams", str(index), "-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0"]
    arguments = [tools.ffprobe, "-v", "error", "-hide_banner", *untrusted(path), *show]
    try:
        output = await run(arguments, _PACKETS_SECONDS, take, keep_output=False)
    except ToolFailed as error:
        raise Unusable(f"The film cannot be read to its end ({error.detail})") from error
    if any(sign in output.stderr for sign in _SIGNS_OF_TRUNCATION):
        raise Unusable("The film is cut short: its end is missing; send the whole file again.")
    if not times:
        raise Unusable("The film has no pictures with a time; convert it to MP4 first.")
    times.sort()
    return times, end


def frame_rate(times: list[float], declared: Fraction | None) -> tuple[Fraction, bool]:
    """Choose the constant rate for pictures at these sorted times (seconds), and say whether they came at varying distances.

    Distances are constant when nearly all are within a rounding of the median; then the rate is the declared one if it
    agrees, else the nearest standard one, else what was measured. Varying distances (a phone, a recorded screen) get the
    standard rate that keeps all but the fastest tenth of the pictures. Above 60 the rate is halved until it fits.
    """
    gaps = [after - before for before, after in pairwise(times) if after > before]
    if not gaps:
        return _bounded(declared or Fraction(25)), False
    ordered = sorted(gaps)
    median = ordered[len(ordered) // 2]
    rounding = max(0.0021, median * 0.05)  # containers that count milliseconds are off by one on each side
    regular = sum(abs(gap - median) <= rounding for gap in gaps) / len(gaps) >= 0.95
    measured = _mean_rate(gaps, median, rounding)
    if regular:
        if declared is not None and abs(float(declared) / measured - 1) < 0.005:
            return _bounded(declared), False
        nearest = min(STANDARD_RATES, key=lambda rate: abs(float(rate) / measured - 1))
        if abs(float(nearest) / measured - 1) < 0.005:
            return nearest, False
        return _bounded(Fraction(measured).limit_denominator(1001)), False
    quick = 1 / max(ordered[len(ordered) // 10], 1e-4)
    nearest = min(STANDARD_RATES, key=lambda rate: abs(float(rate) / quick - 1))
    if abs(float(nearest) / quick - 1) < 0.03:
        return nearest, True
    return next((rate for rate in STANDARD_RATES if float(rate) >= quick), HIGHEST_RATE), True


def _mean_rate(gaps: list[float], median: float, rounding: float) -> float:
    """Return pictures a second over the regular gaps only, so that one pause does not lower it."""
    regular = [gap for gap in gaps if abs(gap - median) <= rounding]
    return len(regular) / sum(regular)


def _bounded(rate: Fraction) -> Fraction:
    while rate > HIGHEST_RATE:
        rate /= 2
    return max(rate, _LOWEST_RATE)


def _audio(streams: list[dict[str, Any]]) -> tuple[AudioFacts, ...]:
    """Return the first two audio streams that have a decoder; equal languages are told apart by a number in the label."""
    usable = [
        stream
        for stream in streams
        if stream.get("codec_type") == "audio"
        and stream.get("codec_name", "unknown") not in {"unknown", "none"}
        and int(stream.get("channels") or 0) > 0
    ]
    seen: Counter[str] = Counter()
    found: list[AudioFacts] = []
    for stream in usable[:_AUDIO_TRACKS]:
        tags = {str(name).lower(): str(value) for name, value in stream.get("tags", {}).items()}
        language = tags.get("language", "und").lower()
        if not (language.isascii() and language.isalpha() and len(language) == 3):
            language = "und"
        seen[language] += 1
        label = " ".join("".join(c if c.isprintable() else " " for c in tags.get("title", "")).split())[:80]
        found.append(
            AudioFacts(
                index=int(stream["index"]),
                codec=str(stream["codec_name"]),
                channels=int(stream["channels"]),
                sample_rate=int(stream.get("sample_rate") or 0),
                language=language,
                label=label or (f"Track {seen[language]}" if seen[language] > 1 else ""),
            )
        )
    return tuple(found)


def _fraction(text: object) -> Fraction | None:
    try:
        value = Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        return None
    return value if value > 0 else None


def _seconds(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None
