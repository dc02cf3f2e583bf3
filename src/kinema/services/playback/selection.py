"""Which tracks of a manifest a device is offered. Pure.

A device states the codecs it decodes and the height it can show. Codecs are a hard limit: a track in another codec is
never offered; subtitles and small pictures, which no decoder of the device's has to do with, always are. Height is a wish: when even the lowest rung is higher, that one is offered, since a film that is scaled
down beats no film.
"""

import msgspec

from kinema.core.errors import Unsupported
from kinema.model.encoding import Manifest, Track
from kinema.model.playback import Device


class Selection(msgspec.Struct, frozen=True):
    """The tracks that are offered: video from the lowest rung to the highest, audio, subtitles and sheets in the manifest's order."""

    video: tuple[Track, ...]
    audio: tuple[Track, ...]
    texts: tuple[Track, ...] = ()
    images: tuple[Track, ...] = ()


def codec_family(track: Track) -> str:
    """Return the first part of the RFC 6381 name, "avc1" of "avc1.64001f"."""
    return track.codec.partition(".")[0]


def select(manifest: Manifest, device: Device) -> Selection:
    """Return what of the manifest this device is offered. Raises Unsupported when none of its codecs is there."""
    decodable = tuple(track for track in manifest.tracks if not device.codecs or codec_family(track) in device.codecs)
    video = sorted(
        (track for track in decodable if track.kind == "video"), key=lambda track: (track.height, track.bandwidth)
    )
    shown = tuple(track for track in video if track.height <= device.max_height) or tuple(video[:1])
    audio = tuple(track for track in decodable if track.kind == "audio")
    lacks_video = not shown and any(track.kind == "video" for track in manifest.tracks)
    if lacks_video or not (shown or audio):
        there = ", ".join(
            sorted({codec_family(track) for track in manifest.tracks if track.kind in {"video", "audio"}})
        )
        raise Unsupported(
            f"The title is stored as {there or 'nothing'} and the device asks for {', '.join(device.codecs)[:200] or 'any codec'}; "
            "ask with another list of codecs."
        )
    texts = tuple(track for track in manifest.tracks if track.kind == "text")
    images = tuple(track for track in manifest.tracks if track.kind == "image" and track.tiles is not None)
    return Selection(video=shown, audio=audio, texts=texts, images=images)


def label_of(track: Track) -> str:
    """Return the track's label as one line without control characters, so that every format can hold it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in track.label).split())


def track_seconds(track: Track) -> float:
    """Return how long a track plays."""
    return sum(segment.duration for segment in track.segments) / track.timescale
