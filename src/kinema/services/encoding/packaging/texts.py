"""Subtitles of a source as two tracks each: a WebVTT file, which HLS and people's tools want, and the same as MP4 (wvtt) for DASH.

ffmpeg turns whatever text the source has (SubRip, ASS, MOV text, WebVTT) into WebVTT at the film's own times; `webvtt` makes it
plain. Subtitles that are pictures (DVD, Blu-ray) would have to be read by machine and are left out.
"""

import asyncio
from pathlib import Path

import msgspec

from kinema.core.ids import new_id
from kinema.model.encoding import ByteRange, Role, Segment, Track
from kinema.services.encoding.inspection import Facts, TextFacts
from kinema.services.encoding.packaging import webvtt
from kinema.services.encoding.packaging.command import package
from kinema.services.encoding.packaging.tracks import bandwidths, text_track
from kinema.services.encoding.tools import ToolFailed, Tools, run, untrusted
from kinema.storage.content import digest_of_file

_SECONDS = 3600.0
_TIMESCALE = 1000
_LARGEST_BYTES = 16 << 20
_ROLES: dict[str, Role] = {
    "forced": "forced-subtitle",
    "hearing_impaired": "caption",
    "captions": "caption",
    "comment": "commentary",
}


def text_names(facts: Facts) -> tuple[tuple[TextFacts, str], ...]:
    """Return the subtitles that can be text, each with the name of its tracks."""
    named: list[tuple[TextFacts, str]] = []
    for text in facts.texts:
        if not text.bitmap:
            before = sum(other.language == text.language for other, _ in named)
            named.append((text, f"text-{text.language.lower()}{f'-{before + 1}' if before else ''}"))
    return tuple(named)


async def cut_text(
    tools: Tools, source: Path, facts: Facts, text: TextFacts, name: str, scratch: Path
) -> tuple[tuple[Track, Path], ...]:
    """Return a subtitle's two tracks with their files in `scratch`; none when it has no text that can be read."""
    stem = new_id("tmp")
    raw, plain, output = (scratch / f"{stem}.{suffix}" for suffix in ("raw.vtt", "vtt", "text.mp4"))
    try:
        await run(_command(tools, source, facts, text, raw), _SECONDS)
        written = await asyncio.to_thread(_make_plain, raw, plain, facts.duration_seconds)
    except ToolFailed:
        return ()
    finally:
        await asyncio.to_thread(raw.unlink, missing_ok=True)
    if not written:
        return ()
    await run(package(tools, plain, "text", output, scratch, text.language), _SECONDS)
    roles = tuple(dict.fromkeys(_ROLES[one] for one in text.dispositions if one in _ROLES))
    described = await text_track(output, name, text.language, text.label)
    file = await _whole(plain, f"{name}-vtt", text, facts.duration_seconds)
    return tuple(
        (msgspec.structs.replace(track, roles=roles), path) for track, path in ((described, output), (file, plain))
    )


def _command(tools: Tools, source: Path, facts: Facts, text: TextFacts, output: Path) -> list[str]:
    """Pictures and sound are in use too, so that time 0 is the film's (see `commands`)."""
    others = [facts.video_index, *(audio.index for audio in facts.audio)]
    return [
        tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error", *untrusted(source),
        "-map", f"0:{text.index}", "-map_metadata", "-1", "-map_chapters", "-1", "-c:s", "webvtt", "-f", "webvtt",
        "-t", f"{facts.duration_seconds:.6f}", f"file:{output}",
        *[part for index in others for part in ("-map", f"0:{index}")], "-c", "copy", "-f", "null", "-",
    ]  # fmt: skip


def _make_plain(raw: Path, plain: Path, seconds: float) -> bool:
    with raw.open("rb") as file:
        text = file.read(_LARGEST_BYTES).decode("utf-8", "replace")
    cues = webvtt.within(webvtt.parse(text), int(seconds * 1000))
    if cues:
        plain.write_text(webvtt.write(cues), encoding="utf-8")
    return bool(cues)


async def _whole(path: Path, name: str, text: TextFacts, seconds: float) -> Track:
    size = (await asyncio.to_thread(path.stat)).st_size
    digest = await digest_of_file(path)
    segment = Segment(0, size, max(1, round(seconds * _TIMESCALE)), digest)
    peak, average = bandwidths((segment,), _TIMESCALE)
    return Track(
        name=name,
        kind="text",
        digest=digest,
        size=size,
        codec="vtt",
        bandwidth=peak,
        average_bandwidth=average,
        init=ByteRange(0, 0),
        index=ByteRange(0, 0),
        timescale=_TIMESCALE,
        segments=(segment,),
        language=text.language,
        label=text.label,
    )
