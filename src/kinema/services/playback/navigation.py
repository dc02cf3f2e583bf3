"""Texts for finding one's way in a film: where each small picture is (WebVTT, as many players read it), and the chapters. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from kinema.model.encoding import Chapter, Manifest, Track
from kinema.services.playback.addresses import media_address

VTT_TYPE = "text/vtt"
JSON_TYPE = "application/json"
THUMBNAILS_VTT = "thumbnails.vtt"
CHAPTERS_VTT = "chapters.vtt"


def thumbnails_vtt(manifest: Manifest, sheets: Sequence[Track], edge: str, token: str) -> str:
    """Return a cue for each small picture: its sheet's address with the part of it as a media fragment (`#xywh=`)."""
    cues: list[tuple[float, float, str]] = []
    for sheet in sheets:
        tiles = sheet.tiles
        assert tiles is not None  # `select` offers no others
        address = media_address(edge, token, manifest.asset, manifest.version, sheet)
        for place in range(tiles.columns * tiles.rows):
            start = len(cues) * tiles.seconds
            if start >= manifest.duration_seconds:
                break
            x, y = place % tiles.columns * tiles.width, place // tiles.columns * tiles.height
            end = min(start + tiles.seconds, manifest.duration_seconds)
            cues.append((start, end, f"{address}#xywh={x},{y},{tiles.width},{tiles.height}"))
    return _vtt(cues)


def chapters_vtt(chapters: Iterable[Chapter]) -> str:
    """Return the chapters as WebVTT of the kind `chapters`."""
    return _vtt((one.start_seconds, one.end_seconds, _one_line(one.title)) for one in chapters)


def chapters_json(chapters: Iterable[Chapter]) -> str:
    """Return the chapters as Apple's players read them from HLS's session data (com.apple.hls.chapters)."""
    described = [
        {
            "chapter": number,
            "start-time": one.start_seconds,
            "duration": round(one.end_seconds - one.start_seconds, 3),
            "titles": [{"language": "und", "title": one.title}],
        }
        for number, one in enumerate(chapters, start=1)
    ]
    return msgspec.json.encode(described).decode()


def _vtt(cues: Iterable[tuple[float, float, str]]) -> str:
    blocks = [f"{_clock(start)} --> {_clock(end)}\n{text}" for start, end, text in cues]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _clock(seconds: float) -> str:
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:03d}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("-->", "->").replace("&", "&amp;").replace("<", "&lt;")
