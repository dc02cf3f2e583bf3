"""What a finished film shows and sounds like, beside its source: no stretch is black, frozen or silent that is not so in the source.

The lowest rung and each sound track are looked through once. Long stretches that look or sound empty are looked at in the
source too, and only there: films have black, stills and silence of their own. The source's limits are wider, since
encoding takes away the grain that makes a still move and changes how loud all is.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.tools import ToolFailed, Tools, run, untrusted
from kinema.services.encoding.verification.errors import NotVerified

_LEAST_SECONDS = 5.0  # of a stretch that is worth a look
_EDGE_SECONDS = 0.5  # at both ends of a stretch, which is not compared
_ALIKE = 0.8  # share of a stretch that the source must have so too
_MOST_STRETCHES = 40
_SECONDS = 6 * 3600.0

_BLACK = re.compile(r"black_start:\s*([\d.]+) black_end:\s*([\d.]+)")
_FROZEN = re.compile(r"freeze_(start|end): ([\d.]+)")
_SILENT = re.compile(r"silence_(start|end): (-?[\d.]+)")


class Stretch(msgspec.Struct, frozen=True):
    """A part of a film that shows or sounds like nothing: "black", "frozen" or "silent", from where to where in seconds."""

    kind: str
    start: float
    end: float


async def verify_content(
    tools: Tools, source: Path, facts: Facts, rung: Path, sounds: Iterable[tuple[int, Path]]
) -> tuple[Stretch, ...]:
    """Return the long empty stretches of a film, all of which its source has too; else raise NotVerified.

    `rung` is a clear file of a rung, `sounds` are the source's stream indices of sound tracks with their clear files.
    """
    pictures = ["blackdetect=d={0}:pic_th=0.98", "freezedetect=n=-60dB:d={0}"]
    found = await _look(tools, ["-i", f"file:{rung}"], ["-vf", ",".join(pictures).format(_LEAST_SECONDS), "-an"], facts)
    for stretch in found[:_MOST_STRETCHES]:
        await _compare(tools, source, facts, stretch, facts.video_index)
    for index, path in sounds:
        filters = ["-af", f"silencedetect=n=-60dB:d={_LEAST_SECONDS}", "-vn"]
        silent = await _look(tools, ["-i", f"file:{path}"], filters, facts)
        for stretch in silent[:_MOST_STRETCHES]:
            await _compare(tools, source, facts, stretch, index)
        found = (*found, *silent)
    return found


async def _compare(tools: Tools, source: Path, facts: Facts, stretch: Stretch, index: int) -> None:
    """Raise NotVerified unless the source is black, frozen or silent there too. A source that cannot be seen into proves nothing."""
    start, end = stretch.start + _EDGE_SECONDS, stretch.end - _EDGE_SECONDS
    lasts = end - start
    window = ["-ss", f"{start:.3f}", "-t", f"{lasts:.3f}", *untrusted(source)]
    some = min(1.0, lasts / 4)
    looking = {
        "black": ["-vf", f"scale=320:-2,blackdetect=d={some}:pic_th=0.9:pix_th=0.15"],
        "frozen": ["-vf", f"scale=320:-2,freezedetect=n=-35dB:d={some}"],
        "silent": ["-af", f"silencedetect=n=-30dB:d={some}"],
    }[stretch.kind]
    try:
        same = await _look(tools, window, ["-map", f"0:{index}", *looking], facts, lasts)
    except ToolFailed:
        return
    covered = sum(one.end - one.start for one in same if one.kind == stretch.kind)
    if covered < lasts * _ALIKE:
        raise NotVerified(
            f"From {stretch.start:.1f} to {stretch.end:.1f} s the film is {stretch.kind} and its source is not; "
            "upload the file again."
        )


async def _look(
    tools: Tools, source: list[str], filters: list[str], facts: Facts, seconds: float | None = None
) -> tuple[Stretch, ...]:
    command = [tools.ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-v", "info", *source, *filters, "-f", "null", "-"]
    said = (await run(command, _SECONDS, keep_output=False)).stderr
    return stretches(said, seconds if seconds is not None else facts.duration_seconds)


def stretches(said: str, seconds: float) -> tuple[Stretch, ...]:
    """Return what ffmpeg's detectors have told, in order; a stretch without an end lasts to the end of what was looked at."""
    found = [Stretch("black", float(start), float(end)) for start, end in _BLACK.findall(said)]
    for kind, pattern in (("frozen", _FROZEN), ("silent", _SILENT)):
        open_at: float | None = None
        for edge, at in pattern.findall(said):
            if edge == "start":
                open_at = max(0.0, float(at))
            elif open_at is not None:
                found.append(Stretch(kind, open_at, float(at)))
                open_at = None
        if open_at is not None and open_at < seconds:
            found.append(Stretch(kind, open_at, seconds))
    return tuple(sorted(found, key=lambda one: one.start))
