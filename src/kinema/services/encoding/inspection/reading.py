"""What a source is: the facts that everything behind needs, or one sentence why it cannot be encoded.

Three passes. The first reads the container's own description. The second reads every video packet's time stamp
(`packets`): it tells a constant frame rate from a variable one, gives the true duration, and notices a file that ends too
early. The third decodes a few pictures from several places (`samples`), for what only the pictures know.
"""

import asyncio
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from kinema.services.encoding.inspection.color import color_of, corrected_by, with_side_data
from kinema.services.encoding.inspection.facts import Color, Crop, Facts, Unusable
from kinema.services.encoding.inspection.judging import crop_of, scan_of
from kinema.services.encoding.inspection.packets import CUT_SHORT, SIGNS_OF_TRUNCATION, Packets, read_packets, seconds
from kinema.services.encoding.inspection.rates import STANDARD_RATES, frame_rate
from kinema.services.encoding.inspection.samples import look
from kinema.services.encoding.inspection.streams import Stream, audio_of, chapters_of, texts_of
from kinema.services.encoding.tools import ToolFailed, Tools, run, untrusted

_SMALLEST_SIDE = 16
_LARGEST_SIDE = 8192
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_DESCRIBE_SECONDS = 60.0
_LEAST_HELD, _MOST_HELD = 0.1, 10.0  # seconds
_ALPHA = re.compile(r"(yuva|gbrap|rgba|bgra|argb|abgr|ya8|ya16|ayuv|vuya)")
_DEPTH = re.compile(r"(?:p|gray|x2rgb|x2bgr|xyz|y2|xv|bayer_\w{4})(\d{1,2})(?:le|be|msble|msbbe)$")
_DEPTHS = (
    ("rgb48", 16),
    ("bgr48", 16),
    ("rgba64", 16),
    ("bgra64", 16),
    ("ayuv64", 16),
    ("p0", 10),
    ("p2", 10),
    ("p4", 10),
)
_ONLY_DOLBY_VISION = "5"


async def inspect(path: Path, tools: Tools) -> Facts:
    """Return the facts of a source file. Raises Unusable with a sentence for the person who sent it."""
    if (await asyncio.to_thread(os.stat, path)).st_size == 0:
        raise Unusable("The file is empty (0 bytes); send it again.")
    described = await _describe(path, tools)
    streams = described.get("streams", [])
    video = _video_stream(streams)
    index, container = int(video["index"]), str(described["format"].get("format_name", ""))
    size = _stored_size(video)
    rotation = _rotation(video)
    upright = size[::-1] if rotation in {90, 270} else size
    packets = await read_packets(path, index, container, tools)
    started = seconds(described["format"].get("start_time")) or 0.0
    audio, dropped_audio = audio_of(streams, started)
    rate, variable, duration, start = _timing(
        packets, video, started, max((each.duration_seconds for each in audio), default=0.0)
    )
    held = _held(variable, duration, max((each.start_seconds + each.duration_seconds for each in audio), default=0.0))
    color = await _color(path, video, size, tools)
    pixel_format = str(video.get("pix_fmt", ""))
    samples = await look(path, index, duration, pixel_format, tools, full_range=color.full_range)
    color = corrected_by(
        color, [low for sample in samples for low in sample.lows], [high for sample in samples for high in sample.highs]
    )
    flag = str(video.get("field_order", ""))
    scan, field_order = scan_of(flag, rate, samples)
    alpha = _ALPHA.match(pixel_format) is not None
    crop = None if alpha else crop_of(*upright, samples)
    width, height = _shown_size(video, upright, crop, rotation)
    texts, dropped_texts = texts_of(streams)
    if scan == "telecined":
        rate = rate * 4 / 5
    return Facts(
        container=container,
        video_index=index,
        codec=str(video["codec_name"]),
        pixel_format=pixel_format,
        width=width,
        height=height,
        rotation=rotation,
        sample_aspect=str(video.get("sample_aspect_ratio", "1:1")),
        frame_rate=f"{rate.numerator}/{rate.denominator}",
        variable_rate=variable,
        interlaced=scan == "interlaced",
        packets=packets.count,
        duration_seconds=duration + held,
        audio=audio,
        telecined=scan == "telecined",
        field_order=field_order,
        flagged_interlaced=flag in {"tt", "bb", "tb", "bt"},
        color=color,
        crop=crop,
        alpha=alpha,
        bit_depth=_bit_depth(pixel_format),
        texts=texts,
        chapters=chapters_of(described.get("chapters", []), start, duration),
        start_seconds=start,
        untimed=packets.untimed,
        jumps=packets.jumps,
        delayed=packets.delayed and not packets.untimed,
        held_seconds=held,
        bits_per_second=round(packets.size * 8 / duration),
        dropped_audio=dropped_audio,
        dropped_texts=dropped_texts,
    )


async def _describe(path: Path, tools: Tools) -> dict[str, Any]:
    arguments = [tools.ffprobe, "-v", "error", "-hide_banner", *untrusted(path)]
    try:
        output = await run(
            [*arguments, "-show_format", "-show_streams", "-show_chapters", "-of", "json"], _DESCRIBE_SECONDS
        )
    except ToolFailed as error:
        cut = "moov atom not found" in error.said and await asyncio.to_thread(_looks_like_mp4, path)
        if cut or any(sign in error.said for sign in SIGNS_OF_TRUNCATION):
            raise Unusable(CUT_SHORT) from error
        raise Unusable(
            "The file is not a film in a format that is understood (MP4, MOV, Matroska, WebM, MPEG-TS, AVI and others)."
        ) from error
    described: dict[str, Any] = msgspec.json.decode(output.stdout)
    return described


def _looks_like_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] in _MP4_BOXES


def _video_stream(streams: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the stream to show: the one marked as default, else the first; cover pictures are none. Raises Unusable."""
    moving = [
        stream
        for stream in streams
        if stream.get("codec_type") == "video"
        and not stream.get("disposition", {}).get("attached_pic")
        and not stream.get("disposition", {}).get("timed_thumbnails")
    ]
    video = max(moving, key=lambda stream: stream.get("disposition", {}).get("default", 0), default=None)
    if video is None:
        if any(stream.get("codec_type") == "audio" for stream in streams):
            raise Unusable("The file holds sound and no moving picture; send a film.")
        raise Unusable("The file holds no moving picture; send a film.")
    if video.get("codec_name", "unknown") in {"unknown", "none"}:
        raise Unusable(
            "The film's pictures are in a format that ffmpeg cannot decode; convert it to MP4 with H.264 first."
        )
    return video


def _stored_size(video: Stream) -> tuple[int, int]:
    """Return width and height of the pictures as ffmpeg decodes them, before rotation. Raises Unusable."""
    width, height = int(video.get("width") or 0), int(video.get("height") or 0)
    for side in video.get("side_data_list", []):
        if side.get("side_data_type") == "Frame Cropping":
            width -= int(side.get("crop_left", 0)) + int(side.get("crop_right", 0))
            height -= int(side.get("crop_top", 0)) + int(side.get("crop_bottom", 0))
    if not (_SMALLEST_SIDE <= width <= _LARGEST_SIDE and _SMALLEST_SIDE <= height <= _LARGEST_SIDE):
        raise Unusable(
            f"The film's pictures are {width} x {height}; sides from {_SMALLEST_SIDE} to {_LARGEST_SIDE} pixels can be encoded."
        )
    return width, height


def _rotation(video: Stream) -> int:
    """Return by how many degrees the pictures are turned when shown: 0, 90, 180 or 270."""
    turns = (round(float(side.get("rotation", 0)) / 90) * 90 % 360 for side in video.get("side_data_list", []))
    return next((turn for turn in turns if turn), 0)


def _shown_size(video: Stream, upright: tuple[int, int], crop: Crop | None, rotation: int) -> tuple[int, int]:
    """Return width and height inside the bars with square pixels, of pictures of this size when upright."""
    width, height = (crop.width, crop.height) if crop else upright
    aspect = _fraction(str(video.get("sample_aspect_ratio", "1:1")).replace(":", "/"))
    if aspect is None or not Fraction(1, 8) <= aspect <= 8:
        return width, height
    if rotation in {90, 270}:
        aspect = 1 / aspect
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _timing(
    packets: Packets, video: Stream, started: float, sound_seconds: float
) -> tuple[Fraction, bool, float, float]:
    """Return the constant rate, whether the film's own varies, its duration and the container's time at its start.

    Pictures without times follow each other so that they last as long as the sound, else at the rate that the file declares.
    """
    declared = _fraction(video.get("r_frame_rate"))
    if packets.untimed:
        rate = _declared_rate(video)
        if sound_seconds > 0:
            lasting = packets.count / sound_seconds
            nearest = min(STANDARD_RATES, key=lambda each: abs(float(each) / lasting - 1))
            rate = nearest if abs(float(nearest) / lasting - 1) < 0.02 else rate
        return rate, False, float(packets.count / rate), started
    rate, variable = frame_rate(list(packets.times), declared)
    if len(packets.times) == 1:
        rate = _declared_rate(video)
    start = min(started, packets.times[0])
    return rate, variable, max(packets.end, packets.times[-1] + float(1 / rate)) - start, start


def _held(variable: bool, duration: float, sound_ends: float) -> float:
    """Return how long the last picture stands: a recorder of what changes writes no more pictures while only the sound goes on."""
    over = sound_ends - duration
    return round(over, 6) if variable and _LEAST_HELD < over <= _MOST_HELD else 0.0


def _declared_rate(video: Stream) -> Fraction:
    """Return the file's average or base rate when it is a usual one, else 25."""
    for name in ("avg_frame_rate", "r_frame_rate"):
        rate = _fraction(video.get(name))
        if rate is not None and 1 <= rate <= STANDARD_RATES[-1]:
            return rate
    return Fraction(25)


async def _color(path: Path, video: Stream, size: tuple[int, int], tools: Tools) -> Color:
    """Return the pictures' colour as described. Raises Unusable for Dolby Vision that nothing but Dolby Vision can show."""
    color = color_of(video, *size)
    if color.dolby_vision.partition(".")[0] == _ONLY_DOLBY_VISION:
        raise Unusable(
            "The film is in Dolby Vision profile 5, whose colours mean nothing to other devices; export it as HDR10, HLG or profile 8."
        )
    if not color.hdr:
        return color
    # Light levels often stand beside the first picture only.
    show = ["-select_streams", str(video["index"]), "-show_frames", "-read_intervals", "%+#3", "-of", "json"]
    try:
        output = await run([tools.ffprobe, "-v", "error", "-hide_banner", *untrusted(path), *show], _DESCRIBE_SECONDS)
    except ToolFailed:
        return color
    frames = msgspec.json.decode(output.stdout).get("frames", [])
    return with_side_data(color, [side for frame in frames for side in frame.get("side_data_list", [])])


def _bit_depth(pixel_format: str) -> int:
    for start, depth in _DEPTHS:
        if pixel_format.startswith(start):
            return depth
    found = _DEPTH.search(pixel_format)
    return int(found[1]) if found else 8


def _fraction(text: object) -> Fraction | None:
    try:
        value = Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        return None
    return value if value > 0 else None
