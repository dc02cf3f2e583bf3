"""DASH text from a manifest (ISO/IEC 23009-1, the ISO BMFF On-Demand profile). Pure: manifest, device, edges and token in, text out.

Each track is one Representation that is addressed as a whole file: the player reads the `sidx` at `indexRange` and fetches
subsegments by byte range. Players switch freely inside an AdaptationSet, so rungs of one codec (and, where they are encrypted, of one key:
players read one a set) form one, and audio tracks form one for each language, label, codec and number of channels. Several edges are several BaseURLs, first choice first.
"""

from collections.abc import Sequence
from fractions import Fraction
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr

from kinema.model.encoding import ByteRange, Manifest, Track
from kinema.model.playback import Device
from kinema.services.playback.addresses import media_base, media_name
from kinema.services.playback.selection import codec_family, label_of, select, track_seconds

MEDIA_TYPE = "application/dash+xml"
_PROFILE = "urn:mpeg:dash:profile:isoff-on-demand:2011"
_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_ROLE = "urn:mpeg:dash:role:2011"
_TILES = "http://dashif.org/guidelines/thumbnail_tile"
_PROTECTED = "urn:mpeg:dash:mp4protection:2011"
_CLEAR_KEY = "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"
_CENC = "urn:mpeg:cenc:2013"
_DASHIF = "https://dashif.org/CPS"
_MIN_BUFFER = "PT2S"

Group = tuple[str, str, str, int, str]


def mpd(manifest: Manifest, device: Device, edges: Sequence[str], token: str, licence: str = "") -> str:
    """Return the media presentation description. `edges` are addresses without a trailing slash, at least one.

    `licence` is the address from which players get the keys of a protected version.
    """
    chosen = select(manifest, device)
    seconds = max((track_seconds(track) for track in (*chosen.video, *chosen.audio)), default=0.0)
    groups: dict[Group, list[Track]] = {}
    texts = tuple(track for track in chosen.texts if track.codec == "wvtt")
    for track in (*chosen.video, *chosen.audio, *texts):
        groups.setdefault(_group(track), []).append(track)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        _open(
            "MPD",
            xmlns="urn:mpeg:dash:schema:mpd:2011",
            **({"xmlns:cenc": _CENC, "xmlns:dashif": _DASHIF} if manifest.protection else {}),
            profiles=_PROFILE,
            type="static",
            minBufferTime=_MIN_BUFFER,
            mediaPresentationDuration=f"PT{seconds:.6f}".rstrip("0").rstrip(".") + "S",
        ),
    ]
    for number, edge in enumerate(edges):
        base = media_base(edge, token, manifest.asset, manifest.version)
        lines.append(f"{_open('BaseURL', serviceLocation=f'edge-{number}')}{escape(base)}</BaseURL>")
    lines.append(_open("Period", id="0"))
    main_given: set[str] = set()
    for number, tracks in enumerate(groups.values()):
        lines += _adaptation_set(number, tracks, licence, main=tracks[0].kind not in main_given)
        main_given.add(tracks[0].kind)
    if chosen.images:
        lines += _image_set(len(groups), chosen.images)
    return "\n".join([*lines, "</Period>", "</MPD>", ""])


def _group(track: Track) -> Group:
    if track.kind == "video":
        return ("video", codec_family(track), "", 0, track.key_id)
    if track.kind == "text":
        return ("text", track.name, "", 0, "")
    return ("audio", codec_family(track), f"{track.language}\n{label_of(track)}", track.channels, track.key_id)


def _adaptation_set(number: int, tracks: list[Track], licence: str, *, main: bool) -> list[str]:
    first = tracks[0]
    attributes = {
        "id": str(number),
        "contentType": first.kind,
        "mimeType": first.media_type,
        "subsegmentAlignment": "true",
        "subsegmentStartsWithSAP": "1",
    }
    if first.kind == "video":
        rates = {track.frame_rate for track in tracks if track.frame_rate}
        attributes |= {
            "maxWidth": str(max(track.width for track in tracks)),
            "maxHeight": str(max(track.height for track in tracks)),
        }
        if len(rates) == 1:
            attributes["frameRate"] = next(iter(rates))
        elif rates:
            attributes["maxFrameRate"] = max(rates, key=Fraction)
    elif first.language != "und":
        attributes["lang"] = first.language
    lines = [_open("AdaptationSet", **attributes)]
    if label := label_of(first):
        lines.append(f"<Label>{escape(label)}</Label>")
    usual = "subtitle" if first.kind == "text" else "main" if main else "alternate"
    lines += [_empty("Role", schemeIdUri=_ROLE, value=role) for role in first.roles or (usual,)]
    lines += _protection(first.key_id, licence)
    for track in tracks:
        lines += _representation(track)
    return [*lines, "</AdaptationSet>"]


def _protection(key_id: str, licence: str) -> list[str]:
    """Return how a set is encrypted and where its key is to be had (DASH-IF's Content Protection, ClearKey in its version 1)."""
    if not key_id:
        return []
    described = {"schemeIdUri": _PROTECTED, "value": "cbcs", "cenc:default_KID": str(UUID(key_id))}
    return [
        _empty("ContentProtection", **described),
        _open("ContentProtection", schemeIdUri=_CLEAR_KEY, value="ClearKey1.0"),
        f"{_open('dashif:Laurl', Lic_type='EME-1.0')}{escape(licence)}</dashif:Laurl>",
        "</ContentProtection>",
    ]


def _representation(track: Track) -> list[str]:
    attributes = {"id": track.name, "bandwidth": str(track.bandwidth), "codecs": track.codec}
    if track.kind == "video":
        attributes |= {"width": str(track.width), "height": str(track.height)}
        if track.frame_rate:
            attributes["frameRate"] = track.frame_rate
    elif track.kind == "audio":
        attributes["audioSamplingRate"] = str(track.sample_rate)
    lines = [_open("Representation", **attributes)]
    if track.kind == "audio":
        lines.append(_empty("AudioChannelConfiguration", schemeIdUri=_CHANNELS, value=str(track.channels)))
    return [
        *lines,
        f"<BaseURL>{escape(media_name(track))}</BaseURL>",
        _open("SegmentBase", indexRange=_range(track.index), timescale=str(track.timescale)),
        _empty("Initialization", range=_range(track.init)),
        "</SegmentBase>",
        "</Representation>",
    ]


def _image_set(number: int, sheets: Sequence[Track]) -> list[str]:
    """Return the sheets of small pictures as tiles (DASH-IF Interoperability Points 4.3, 6.2.6); they are numbered from 1."""
    first = sheets[0]
    tiles = first.tiles
    assert tiles is not None  # `select` offers no others
    each = tiles.columns * tiles.rows * tiles.seconds
    name = first.file_name.replace("-1.", "-$Number$.")
    representation = {
        "id": "thumbnails",
        "bandwidth": str(max(sheet.bandwidth for sheet in sheets)),
        "width": str(tiles.width * tiles.columns),
        "height": str(tiles.height * tiles.rows),
    }
    template = {"media": name, "duration": f"{each:g}", "timescale": "1", "startNumber": "1"}
    return [
        _open("AdaptationSet", id=str(number), contentType="image", mimeType=first.media_type),
        _open("Representation", **representation),
        _empty("EssentialProperty", schemeIdUri=_TILES, value=f"{tiles.columns}x{tiles.rows}"),
        _empty("SegmentTemplate", **template),
        "</Representation>",
        "</AdaptationSet>",
    ]


def _range(part: ByteRange) -> str:
    """Return a range as DASH writes it: first and last byte, both included."""
    return f"{part.offset}-{part.offset + part.length - 1}"


def _open(element: str, **attributes: str) -> str:
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{element}{written}>"


def _empty(element: str, **attributes: str) -> str:
    return _open(element, **attributes)[:-1] + "/>"
