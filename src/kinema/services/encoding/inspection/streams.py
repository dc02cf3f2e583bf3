"""The streams beside the pictures, as ffprobe describes them: sound, text, chapters.

Every sound track that has a decoder is kept, up to a limit, with its language and what it is for; so are subtitles.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kinema.services.encoding.inspection.facts import AudioFacts, ChapterFacts, TextFacts
from kinema.services.encoding.inspection.packets import seconds

MOST_AUDIO = 16
MOST_TEXTS = 64
_MOST_CHAPTERS = 500
_LONGEST_LABEL = 80
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}", re.IGNORECASE)
_UNDECODED = {"unknown", "none"}
_BITMAPS = {"dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle", "xsub"}
_TEXTS = {
    "subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "ttml", "eia_608", "microdvd", "subviewer", "subviewer1", "sami",
    "realtext", "stl", "mpl2", "jacosub", "pjs", "vplayer", "hdmv_text_subtitle", "dvb_teletext", "arib_caption",
}  # fmt: skip
_PURPOSES = (
    "default", "dub", "original", "comment", "lyrics", "karaoke", "forced", "hearing_impaired", "visual_impaired", "clean_effects",
    "captions", "descriptions",
)  # fmt: skip
_NAMES = (
    ("comment", "Commentary"),
    ("visual_impaired", "Audio description"),
    ("descriptions", "Audio description"),
    ("hearing_impaired", "Clear dialogue"),
    ("karaoke", "Karaoke"),
)

Stream = Mapping[str, Any]


def audio_of(streams: Sequence[Stream], start: float) -> tuple[tuple[AudioFacts, ...], int]:
    """Return the sound tracks to keep, those marked as default first, and how many are left out. `start` is the container's time at the film's start."""
    all_audio = [stream for stream in streams if stream.get("codec_type") == "audio"]
    usable = [
        stream
        for stream in all_audio
        if stream.get("codec_name", "unknown") not in _UNDECODED and int(stream.get("channels") or 0) > 0
    ]
    usable.sort(key=lambda stream: "default" not in _dispositions(stream))
    seen: Counter[str] = Counter()
    found: list[AudioFacts] = []
    for stream in usable[:MOST_AUDIO]:
        language = _language(stream)
        seen[language] += 1
        purpose = next((name for kind, name in _NAMES if kind in _dispositions(stream)), "")
        found.append(
            AudioFacts(
                index=int(stream["index"]),
                codec=str(stream["codec_name"]),
                channels=int(stream["channels"]),
                sample_rate=int(stream.get("sample_rate") or 0),
                language=language,
                # Equal languages are told apart by a number.
                label=_label(stream) or purpose or (f"Track {seen[language]}" if seen[language] > 1 else ""),
                layout=str(stream.get("channel_layout", "")),
                dispositions=_dispositions(stream),
                start_seconds=round((seconds(stream.get("start_time")) or start) - start, 6),
                duration_seconds=_duration(stream),
            )
        )
    return tuple(found), len(all_audio) - len(found)


def texts_of(streams: Sequence[Stream]) -> tuple[tuple[TextFacts, ...], int]:
    """Return the subtitle tracks that are understood, and how many are left out."""
    all_texts = [stream for stream in streams if stream.get("codec_type") == "subtitle"]
    usable = [stream for stream in all_texts if stream.get("codec_name") in _TEXTS | _BITMAPS]
    found = tuple(
        TextFacts(
            index=int(stream["index"]),
            codec=str(stream["codec_name"]),
            language=_language(stream),
            label=_label(stream),
            bitmap=stream["codec_name"] in _BITMAPS,
            dispositions=_dispositions(stream),
        )
        for stream in usable[:MOST_TEXTS]
    )
    return found, len(all_texts) - len(found)


def chapters_of(chapters: Sequence[Stream], start: float, duration: float) -> tuple[ChapterFacts, ...]:
    """Return the chapters that lie inside the film, in order."""
    found: list[ChapterFacts] = []
    for chapter in chapters[:_MOST_CHAPTERS]:
        begins, ends = seconds(chapter.get("start_time")), seconds(chapter.get("end_time"))
        if begins is None or ends is None:
            continue
        begins, ends = max(0.0, begins - start), min(duration, ends - start)
        if begins < ends:
            found.append(ChapterFacts(round(begins, 3), round(ends, 3), _label(chapter)))
    return tuple(sorted(found, key=lambda chapter: chapter.start_seconds))


def _tags(stream: Stream) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in stream.get("tags", {}).items()}


def _language(stream: Stream) -> str:
    language = _tags(stream).get("language", "und")
    return language.lower() if _LANGUAGE.fullmatch(language) else "und"


def _label(stream: Stream) -> str:
    title = _tags(stream).get("title", "")
    return " ".join("".join(c if c.isprintable() else " " for c in title).split())[:_LONGEST_LABEL]


def _dispositions(stream: Stream) -> tuple[str, ...]:
    said = stream.get("disposition", {})
    return tuple(name for name in _PURPOSES if said.get(name))


def _duration(stream: Stream) -> float:
    """Return the stream's duration in seconds: its own, or Matroska's tag ("00:01:02.500000000"), else 0."""
    own = seconds(stream.get("duration"))
    if own is not None:
        return own
    hours, _, rest = _tags(stream).get("duration", "").partition(":")
    minutes, _, second = rest.partition(":")
    if hours.isdigit() and minutes.isdigit() and (last := seconds(second)) is not None:
        return int(hours) * 3600 + int(minutes) * 60 + last
    return 0.0
