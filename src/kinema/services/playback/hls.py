"""HLS texts from a manifest (RFC 8216). Pure: manifest, device, edge and token in, text out.

A multivariant playlist names one variant for each rung and audio group; its media playlists address the segments of a
fragmented MP4 file as byte ranges. Renditions of one audio group must be interchangeable and differ in name, so tracks
are grouped by codec, channels and their rank among the tracks of the same language; every rung is offered with every group.
"""

import math
from collections.abc import Iterator
from fractions import Fraction

from kinema.model.encoding import Manifest, Track
from kinema.model.playback import Device
from kinema.services.playback.addresses import media_address, segment_of_path
from kinema.services.playback.selection import codec_family, label_of, select

MEDIA_TYPE = "application/vnd.apple.mpegurl"
_MULTIVARIANT_HEAD = ("#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS")

AudioGroups = dict[str, list[Track]]


def multivariant(manifest: Manifest, device: Device) -> str:
    """Return the multivariant playlist. Its addresses are relative: `{track}.m3u8` beside it."""
    chosen = select(manifest, device)
    groups = _audio_groups(chosen.audio)
    lines = [*_MULTIVARIANT_HEAD]
    if not chosen.video:
        lines += [line for track in chosen.audio for line in _variant((track,), None, track)]
        return _text(lines)
    first = True
    for group, tracks in groups.items():
        for track in tracks:
            lines.append(_rendition(group, track, default=first))
            first = False
    for rung in chosen.video:
        if not groups:
            lines += _variant((rung,), None, rung)
        for group, tracks in groups.items():
            loudest = max(tracks, key=lambda track: track.bandwidth)
            lines += _variant((rung, loudest), group, rung)
    return _text(lines)


def media(manifest: Manifest, track: Track, edge: str, token: str) -> str:
    """Return the media playlist of one track, whose bytes stand at `edge` (an address without a trailing slash)."""
    address = media_address(edge, token, manifest.asset, manifest.version, track.name)
    seconds = [segment.duration / track.timescale for segment in track.segments]
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        f"#EXT-X-TARGETDURATION:{math.ceil(max(seconds, default=0))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{address}",BYTERANGE="{track.init.length}@{track.init.offset}"',
        *_key(track),
    ]
    for number, (length, segment) in enumerate(zip(seconds, track.segments, strict=True), start=1):
        # The number changes nothing at the edge. FFmpeg 9 stops after the first of segments that share one address.
        numbered = f"{address}?{number}"
        lines += (f"#EXTINF:{length:.6f},", f"#EXT-X-BYTERANGE:{segment.length}@{segment.offset}", numbered)
    return _text([*lines, "#EXT-X-ENDLIST"])


def _key(track: Track) -> list[str]:
    """Return where the key of a track is to be had, relative to the playlist; its own format is the 16 bytes themselves."""
    if not track.key_id:
        return []
    vector = f"0x{track.initialization_vector}"
    return [f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="keys/{track.key_id}",IV={vector},KEYFORMAT="identity"']


def _audio_groups(tracks: tuple[Track, ...]) -> AudioGroups:
    groups: AudioGroups = {}
    seen: dict[tuple[str, int, str, str], int] = {}
    for track in sorted(tracks, key=lambda track: -track.bandwidth):
        alike = (codec_family(track), track.channels, track.language, label_of(track))
        rank = seen[alike] = seen.get(alike, -1) + 1
        groups.setdefault(f"audio-{alike[0]}-{track.channels}-{rank}", []).append(track)
    return groups


def _rendition(group: str, track: Track, *, default: bool) -> str:
    language = track.language if track.language != "und" else ""
    # Names must differ within a group; language and label together do, since tracks that share both are in different groups.
    name = " ".join(part for part in (label_of(track), f"({language})" if language else "") if part) or "Main"
    attributes = [
        "TYPE=AUDIO",
        f"GROUP-ID={_quoted(group)}",
        f"NAME={_quoted(name)}",
        *([f"LANGUAGE={_quoted(language)}"] if language else []),
        f"DEFAULT={'YES' if default else 'NO'}",
        "AUTOSELECT=YES",
        f'CHANNELS="{track.channels}"',
        f"URI={_quoted(_playlist(track))}",
    ]
    return "#EXT-X-MEDIA:" + ",".join(attributes)


def _variant(together: tuple[Track, ...], group: str | None, main: Track) -> Iterator[str]:
    attributes = [
        f"BANDWIDTH={sum(track.bandwidth for track in together)}",
        f"AVERAGE-BANDWIDTH={sum(track.average_bandwidth for track in together)}",
        f"CODECS={_quoted(','.join(track.codec for track in together))}",
    ]
    if main.kind == "video":
        attributes.append(f"RESOLUTION={main.width}x{main.height}")
    if main.frame_rate:
        attributes.append(f"FRAME-RATE={float(Fraction(main.frame_rate)):.3f}")
    if group is not None:
        attributes.append(f"AUDIO={_quoted(group)}")
    attributes.append("CLOSED-CAPTIONS=NONE")
    yield "#EXT-X-STREAM-INF:" + ",".join(attributes)
    yield _playlist(main)


def _playlist(track: Track) -> str:
    return f"{segment_of_path(track.name)}.m3u8"


def _quoted(text: str) -> str:
    """Return a quoted-string of RFC 8216 section 4.2, which can hold neither a double quote nor a line break."""
    return '"' + " ".join(text.replace('"', "'").split()) + '"'


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
