"""From a packaged file to a `model.Track`: its layout, its digests, its bit rates."""

import asyncio
import hashlib
import mmap
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import msgspec

from kinema.model.encoding import Role, Segment, Track, TrackKind
from kinema.services.encoding.inspection import AudioFacts
from kinema.services.encoding.packaging.boxes import Layout, first_picture_end, head_size, parse
from kinema.services.encoding.packaging.mp4 import BadTrack

_HEAD_BYTES = 1 << 16
_KINDS: dict[str, TrackKind] = {"vide": "video", "soun": "audio", "text": "text"}  # by the handler of the file

_ROLES: dict[str, Role] = {  # by what ffmpeg says of a sound track
    "dub": "dub",
    "comment": "commentary",
    "visual_impaired": "description",
    "descriptions": "description",
}


class Rendition(Protocol):
    """What is known of a rung before it is packaged: its name, and its size in pixels."""

    @property
    def name(self) -> str:
        """The track's name, unique in its manifest."""
        ...

    @property
    def width(self) -> int:
        """Pixels in a line."""
        ...

    @property
    def height(self) -> int:
        """Lines."""
        ...


async def video_track(path: Path, rung: Rendition, frame_rate: str, scores: Sequence[float] = ()) -> Track:
    """Describe a packaged rung; `scores` are the mean VMAFs of its segments, if somebody measured them.

    Raises BadTrack when the file is not what was asked for.
    """
    layout, track = await asyncio.to_thread(_read, path, rung.name)
    if (layout.handler, layout.width, layout.height) != ("vide", rung.width, rung.height):
        raise BadTrack(
            f"The rung {rung.name} came out as {layout.handler} {layout.width} x {layout.height}; "
            f"{rung.width} x {rung.height} was asked for."
        )
    described = msgspec.structs.replace(track, width=layout.width, height=layout.height, frame_rate=frame_rate)
    return with_quality(described, scores) if scores else described


async def audio_track(path: Path, audio: AudioFacts, name: str) -> Track:
    """Describe a packaged sound track. Raises BadTrack when the file is not what was asked for."""
    layout, track = await asyncio.to_thread(_read, path, name)
    if layout.handler != "soun":
        raise BadTrack(f"The sound track {name} came out as {layout.handler}.")
    return msgspec.structs.replace(
        track,
        sample_rate=layout.sample_rate,
        channels=layout.channels,
        language=audio.language,
        label=audio.label,
        roles=tuple(dict.fromkeys(_ROLES[one] for one in audio.dispositions if one in _ROLES)),
    )


async def text_track(path: Path, name: str, language: str, label: str) -> Track:
    """Describe packaged subtitles. Raises BadTrack when the file is not what was asked for."""
    layout, track = await asyncio.to_thread(_read, path, name)
    if layout.handler != "text":
        raise BadTrack(f"The subtitles {name} came out as {layout.handler}.")
    return msgspec.structs.replace(track, language=language, label=label)


async def encrypted_track(path: Path, clear: Track) -> Track:
    """Describe a track that was encrypted from `clear`. Raises BadTrack when it is not encrypted or cut in other places."""
    layout, track = await asyncio.to_thread(_read, path, clear.name)
    lasts = [segment.duration for segment in track.segments]
    if not layout.key_id or lasts != [segment.duration for segment in clear.segments] or layout.codec != clear.codec:
        raise BadTrack(f"The track {clear.name} came out of its encryption as another one; package it again.")
    segments = tuple(
        msgspec.structs.replace(segment, vmaf=before.vmaf)
        for segment, before in zip(track.segments, clear.segments, strict=True)
    )
    return msgspec.structs.replace(
        clear,
        digest=track.digest,
        size=track.size,
        bandwidth=track.bandwidth,
        average_bandwidth=track.average_bandwidth,
        init=track.init,
        index=track.index,
        segments=segments,
        key_id=track.key_id,
        initialization_vector=track.initialization_vector,
    )


def with_quality(track: Track, scores: Sequence[float]) -> Track:
    """Return a rung whose segments say how good they look; `scores` has the mean VMAF of each. Raises BadTrack for another number."""
    if len(scores) != len(track.segments):
        raise BadTrack(
            f"{len(scores)} segments of {track.name} were scored and it has {len(track.segments)}; score it again."
        )
    segments = tuple(
        msgspec.structs.replace(segment, vmaf=round(score, 2))
        for segment, score in zip(track.segments, scores, strict=True)
    )
    return msgspec.structs.replace(track, segments=segments)


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


def _read(path: Path, name: str) -> tuple[Layout, Track]:
    """Read a packaged file whole: its layout, and the track as far as the file itself tells."""
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
            keyframe = first_picture_end(body, place) if layout.handler == "vide" else 0
            segments.append(Segment(place.offset, place.length, place.duration, digest, keyframe=keyframe))
    peak, average = bandwidths(tuple(segments), layout.timescale)
    track = Track(
        name=name,
        kind=_KINDS[layout.handler],
        digest=whole.hexdigest(),
        size=size,
        codec=layout.codec,
        bandwidth=peak,
        average_bandwidth=average,
        init=layout.init,
        index=layout.index,
        timescale=layout.timescale,
        segments=tuple(segments),
        video_range=layout.video_range,
        key_id=layout.key_id,
        initialization_vector=layout.initialization_vector,
    )
    return layout, track
