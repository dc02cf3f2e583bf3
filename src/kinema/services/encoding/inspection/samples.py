"""Samples: a few pictures from several places of a film, decoded and looked at.

Flags lie, so pictures are asked: how their fields lie (idet), where their black bars are (cropdetect), how dark and how
bright they are (signalstats). There are about twice as many places as the square root of the film's duration in units of
five seconds: two in a clip, sixteen in a film. A place that cannot be decoded says nothing.
"""

import asyncio
import math
from pathlib import Path

import msgspec

from kinema.services.encoding.inspection.color import is_rgb
from kinema.services.encoding.tools import ToolFailed, Tools, run, untrusted

_MOST_PLACES = 16
_PICTURES = 20
_AT_ONCE = 2
_SECONDS = 60.0
_BLACK_LIMITED, _BLACK_FULL = 24 / 255, 10 / 255  # luma up to which a bar's pixel counts as black


class Sample(msgspec.Struct, frozen=True):
    """What one place showed.

    `fields` counts pictures by how idet sees them ("tff", "bff", "progressive"), `repeated` those that repeat a field of the one
    before. `left`, `top`, `right`, `bottom` enclose all that is not black, in pixels; `lows` and `highs` are the 10th and
    90th percentile of each picture's luma as 8-bit codes.
    """

    pictures: int
    fields: dict[str, int]
    repeated: int
    left: int
    top: int
    right: int
    bottom: int
    lows: tuple[float, ...]
    highs: tuple[float, ...]


def places(duration_seconds: float) -> tuple[float, ...]:
    """Return where to look, in seconds: the middles of equal parts of the film."""
    count = min(_MOST_PLACES, max(1, round(2 * math.sqrt(duration_seconds / 5))))
    return tuple((number + 0.5) / count * duration_seconds for number in range(count))


async def look(
    path: Path, index: int, duration_seconds: float, pixel_format: str, tools: Tools, *, full_range: bool
) -> tuple[Sample, ...]:
    """Return samples of a film's pictures, upright as ffmpeg decodes them."""
    turns = asyncio.Semaphore(_AT_ONCE)
    plain = "format=yuv420p," if is_rgb(pixel_format) else ""
    black = _BLACK_FULL if full_range and not plain else _BLACK_LIMITED

    async def one(at: float) -> Sample | None:
        # The range is set to one for all, so that scaling changes no value.
        filters = (
            f"{plain}idet,cropdetect=limit={black:.4f}:round=2:skip=0,setparams=range=limited,"
            "scale=320:-2:flags=neighbor,format=yuv420p,signalstats,metadata=mode=print:file=-"
        )
        command = [
            tools.ffmpeg, "-hide_banner", "-nostdin", "-v", "error", *(["-ss", f"{at:.3f}"] if at else []), *untrusted(path),
            "-map", f"0:{index}", "-frames:v", str(_PICTURES), "-vf", filters, "-f", "null", "-",
        ]  # fmt: skip
        async with turns:
            try:
                return _sample((await run(command, _SECONDS)).stdout)
            except ToolFailed:
                return None

    # A film of few pictures has none behind its middle.
    where = places(duration_seconds)
    found = [sample for sample in await asyncio.gather(*map(one, where)) if sample is not None]
    if not found and (first := await one(0.0)) is not None:
        found.append(first)
    return tuple(found)


def _sample(printed: str) -> Sample | None:
    """Read what the metadata filter printed; the counters and bars of the last picture hold for all."""
    last: dict[str, str] = {}
    lows: list[float] = []
    highs: list[float] = []
    for line in printed.splitlines():
        name, separator, value = line.strip().removeprefix("lavfi.").partition("=")
        if not separator:
            continue
        last[name] = value
        if name == "signalstats.YLOW":
            lows.append(float(value))
        elif name == "signalstats.YHIGH":
            highs.append(float(value))
    if not lows:
        return None

    def number(name: str) -> int:
        return round(float(last.get(name, "0")))

    return Sample(
        pictures=len(lows),
        fields={kind: number(f"idet.single.{kind}") for kind in ("tff", "bff", "progressive")},
        repeated=number("idet.repeated.top") + number("idet.repeated.bottom"),
        left=number("cropdetect.x1"),
        top=number("cropdetect.y1"),
        right=number("cropdetect.x2") + 1,
        bottom=number("cropdetect.y2") + 1,
        lows=tuple(lows),
        highs=tuple(highs),
    )
