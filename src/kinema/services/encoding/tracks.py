"""From a packaged file to a `model.Track`: its layout, its digests, its bit rates."""

import asyncio
import hashlib
import mmap
from fractions import Fraction
from pathlib import Path

from kinema.model.encoding import Segment, Track
from kinema.services.encoding.boxes import BadTrack, Layout, head_size, parse
from kinema.services.encoding.inspection import AudioFacts
from kinema.services.encoding.ladder import Rung

_HEAD_BYTES = 1 << 16


async def video_track(path: Path, rung: Rung, frame_rate: str) -> Track:
    """Describe a packaged rung. Raises BadTrack when the file is not what was asked for."""
    layout, size, digest, segments = await asyncio.to_thread(_read, path)
    if (layout.handler, layout.width, layout.height) != ("vide", rung.width, rung.height):
        raise BadTrack(
            f"The rung {rung.name} came out as {layout.handler} {layout.width} x {layout.height}; "
            f"{rung.width} x {rung.height} was asked for."
        )
    peak, average = bandwidths(segments, layout.timescale)
    return Track(
        name=rung.name,
        kind="video",
        digest=digest,
        size=size,
        codec=layout.codec,
        bandwidth=peak,
        average_bandwidth=average,
        init=layout.init,
        index=layout.index,
        timescale=layout.timescale,
        segments=segments,
        width=layout.width,
        height=layout.height,
        frame_rate=frame_rate,
    )


async def audio_track(path: Path, audio: AudioFacts, name: str) -> Track:
    """Describe a packaged sound track. Raises BadTrack when the file is not what was asked for."""
    layout, size, digest, segments = await asyncio.to_thread(_read, path)
    if layout.handler != "soun":
        raise BadTrack(f"The sound track {name} came out as {layout.handler}.")
    peak, average = bandwidths(segments, layout.timescale)
    return Track(
        name=name,
        kind="audio",
        digest=digest,
        size=size,
        codec=layout.codec,
        bandwidth=peak,
        average_bandwidth=average,
        init=layout.init,
        index=layout.index,
        timescale=layout.timescale,
        segments=segments,
        sample_rate=layout.sample_rate,
        channels=layout.channels,
        language=audio.language,
        label=audio.label,
    )


def bandwidths(segments: tuple[Segment, ...], timescale: int) -> tuple[int, int]:
    """Return peak and average in bits per second. The peak is the largest segment rate, as HLS defines it (RFC 8216).

    A last segment shorter than half the longest one does not count for the peak: a few frames say nothing of a rate.
    """
    longest = max(segment.duration for segment in segments)
    counted = [segment for segment in segments if segment.duration * 2 >= longest]
    peak = max(Fraction(segment.length * 8 * timescale, segment.duration) for segment in counted)
    duration = sum(segment.duration for segment in segments)
    average = Fraction(sum(segment.length for segment in segments) * 8 * timescale, duration)
    return max(-(-peak // 1), -(-average // 1)), round(average)


def _read(path: Path) -> tuple[Layout, int, str, tuple[Segment, ...]]:
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        needed = min(_HEAD_BYTES, size)
        while (more := head_size(mapped[:needed], size)) > needed:
            needed = more
        layout = parse(mapped[:needed], size)
        if not all(place.duration for place in layout.segments):
            raise BadTrack("The index has a segment without a duration; package it again.")
        whole = hashlib.sha256()
        whole.update(mapped[: layout.segments[0].offset])
        segments: list[Segment] = []
        for place in layout.segments:
            body = mapped[place.offset : place.offset + place.length]
            whole.update(body)
            digest = hashlib.sha256(body).hexdigest()
            segments.append(Segment(place.offset, place.length, place.duration, digest))
    return layout, size, whole.hexdigest(), tuple(segments)
