"""HLS texts from a manifest (RFC 8216). Pure: manifest, device, edge and token in, text out.

A multivariant playlist names one variant for each rung and audio group; its media playlists address the segments of a
fragmented MP4 file as byte ranges. Renditions of one audio group must be interchangeable and differ in name, so tracks
are grouped by codec, channels and their rank among the tracks of the same language; every rung is offered with every group.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from itertools import chain, count

from kinema.model.encoding import Manifest, Track
from kinema.model.playback import Device
from kinema.services.playback.addresses import media_address, segment_of_path
from kinema.services.playback.selection import codec_family, label_of, select, track_seconds

MEDIA_TYPE = "application/vnd.apple.mpegurl"
_MULTIVARIANT_HEAD = ("#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS")

I_FRAMES = ".iframes.m3u8"
"""What the name of a rung's playlist of key frames ends in."""

IMAGES_NAME = "thumbnails.m3u8"
CHAPTERS_NAME = "chapters.json"
_SUBTITLES = "subtitles"

AudioGroups = dict[str, list[Track]]


def multivariant(manifest: Manifest, device: Device) -> str:
    """Return the multivariant playlist. Its addresses are relative: `{track}.m3u8` beside it."""
    chosen = select(manifest, device)
    groups = _audio_groups(chosen.audio)
    lines = [*_MULTIVARIANT_HEAD]
    if not chosen.video:
        lines += [line for track in chosen.audio for line in _variant((track,), None, track, subtitles=False)]
        return _text(lines)
    first = True
    for group, tracks in groups.items():
        for track in tracks:
            lines.append(_rendition(group, track, default=first))
            first = False
    subtitles = [track for track in chosen.texts if track.codec == "vtt"]
    names: list[str] = []
    for track in subtitles:
        names.append(_unique(_name(track) or track.name, names))
        lines.append(_subtitle(track, names[-1]))
    for rung in chosen.video:
        if not groups:
            lines += _variant((rung,), None, rung, subtitles=bool(subtitles))
        for group, tracks in groups.items():
            loudest = max(tracks, key=lambda track: track.bandwidth)
            lines += _variant((rung, loudest), group, rung, subtitles=bool(subtitles))
    lines += [_i_frame_variant(rung) for rung in chosen.video if all(one.keyframe for one in rung.segments)]
    if chosen.images:
        lines.append(_image_variant(chosen.images))
    if manifest.chapters:
        lines.append(f'#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="{CHAPTERS_NAME}"')
    return _text(lines)


def media(manifest: Manifest, track: Track, edge: str, token: str) -> str:
    """Return the media playlist of one track, whose bytes stand at `edge` (an address without a trailing slash)."""
    address = media_address(edge, token, manifest.asset, manifest.version, track)
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


def i_frames(manifest: Manifest, track: Track, edge: str, token: str) -> str:
    """Return the playlist of a rung's key frames (RFC 8216, 4.3.3.6), one a segment, for seeking and winding at sight."""
    address = media_address(edge, token, manifest.asset, manifest.version, track)
    seconds = [segment.duration / track.timescale for segment in track.segments]
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        f"#EXT-X-TARGETDURATION:{math.ceil(max(seconds, default=0))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-I-FRAMES-ONLY",
        f'#EXT-X-MAP:URI="{address}",BYTERANGE="{track.init.length}@{track.init.offset}"',
        *_key(track),
    ]
    for number, (length, segment) in enumerate(zip(seconds, track.segments, strict=True), start=1):
        lines += (
            f"#EXTINF:{length:.6f},",
            f"#EXT-X-BYTERANGE:{segment.keyframe}@{segment.offset}",
            f"{address}?{number}",
        )
    return _text([*lines, "#EXT-X-ENDLIST"])


def subtitles(manifest: Manifest, track: Track, edge: str, token: str) -> str:
    """Return the playlist of a subtitle: one segment, which is the WebVTT file of the whole film."""
    return _whole_files(manifest, (track,), edge, token, ())


def images(manifest: Manifest, sheets: Sequence[Track], edge: str, token: str) -> str:
    """Return the playlist of the sheets of small pictures, as Roku defined it and Shaka Player reads it."""
    tiles = sheets[0].tiles
    assert tiles is not None  # `select` offers no others
    layout = f"RESOLUTION={tiles.width}x{tiles.height},LAYOUT={tiles.columns}x{tiles.rows},DURATION={tiles.seconds:g}"
    return _whole_files(manifest, sheets, edge, token, ("#EXT-X-IMAGES-ONLY",), f"#EXT-X-TILES:{layout}")


def _whole_files(
    manifest: Manifest, tracks: Sequence[Track], edge: str, token: str, head: tuple[str, ...], *before: str
) -> str:
    """Return a playlist whose segments are whole files."""
    seconds = [track_seconds(track) for track in tracks]
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        f"#EXT-X-TARGETDURATION:{math.ceil(max(seconds))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        *head,
    ]
    for length, track in zip(seconds, tracks, strict=True):
        address = media_address(edge, token, manifest.asset, manifest.version, track)
        lines += (f"#EXTINF:{length:.6f},", *before, address)
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


def _name(track: Track) -> str:
    """Return what people are shown for a track: its label and language."""
    language = track.language if track.language != "und" else ""
    return " ".join(part for part in (label_of(track), f"({language})" if language else "") if part)


def _unique(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number behind it when it is taken: names must differ within a group."""
    candidates = chain((name,), (f"{name} {number}" for number in count(2)))
    return next(one for one in candidates if one not in taken)


def _subtitle(track: Track, name: str) -> str:
    language = track.language if track.language != "und" else ""
    forced = "forced-subtitle" in track.roles
    captions = ("public.accessibility.transcribes-spoken-dialog", "public.accessibility.describes-music-and-sound")
    attributes = [
        "TYPE=SUBTITLES",
        f"GROUP-ID={_quoted(_SUBTITLES)}",
        f"NAME={_quoted(name)}",
        *([f"LANGUAGE={_quoted(language)}"] if language else []),
        "DEFAULT=NO",
        "AUTOSELECT=YES",
        f"FORCED={'YES' if forced else 'NO'}",
        *([f"CHARACTERISTICS={_quoted(','.join(captions))}"] if "caption" in track.roles else []),
        f"URI={_quoted(_playlist(track))}",
    ]
    return "#EXT-X-MEDIA:" + ",".join(attributes)


def _i_frame_variant(track: Track) -> str:
    rates = [Fraction(one.keyframe * 8 * track.timescale, one.duration) for one in track.segments]
    attributes = [
        f"BANDWIDTH={math.ceil(max(rates))}",
        f"CODECS={_quoted(track.codec)}",
        f"RESOLUTION={track.width}x{track.height}",
        f"URI={_quoted(segment_of_path(track.name) + I_FRAMES)}",
    ]
    return "#EXT-X-I-FRAME-STREAM-INF:" + ",".join(attributes)


def _image_variant(sheets: Sequence[Track]) -> str:
    tiles = sheets[0].tiles
    assert tiles is not None  # `select` offers no others
    attributes = [
        f"BANDWIDTH={max(sheet.bandwidth for sheet in sheets)}",
        'CODECS="jpeg"',
        f"RESOLUTION={tiles.width}x{tiles.height}",
        f"URI={_quoted(IMAGES_NAME)}",
    ]
    return "#EXT-X-IMAGE-STREAM-INF:" + ",".join(attributes)


def _rendition(group: str, track: Track, *, default: bool) -> str:
    language = track.language if track.language != "und" else ""
    # Names must differ within a group; language and label together do, since tracks that share both are in different groups.
    name = _name(track) or "Main"
    attributes = [
        "TYPE=AUDIO",
        f"GROUP-ID={_quoted(group)}",
        f"NAME={_quoted(name)}",
        *([f"LANGUAGE={_quoted(language)}"] if language else []),
        f"DEFAULT={'YES' if default else 'NO'}",
        "AUTOSELECT=YES",
        *(['CHARACTERISTICS="public.accessibility.describes-video"'] if "description" in track.roles else []),
        f'CHANNELS="{track.channels}"',
        f"URI={_quoted(_playlist(track))}",
    ]
    return "#EXT-X-MEDIA:" + ",".join(attributes)


def _variant(together: tuple[Track, ...], group: str | None, main: Track, *, subtitles: bool) -> Iterator[str]:
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
    if main.video_range:
        attributes.append(f"VIDEO-RANGE={main.video_range}")
    if subtitles:
        attributes.append(f"SUBTITLES={_quoted(_SUBTITLES)}")
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
