"""A picture from the film, for a title that has no artwork yet."""

import asyncio
from pathlib import Path

import msgspec

from kinema.services.encoding import commands
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.tools import ToolFailed, Tools, run

_SHARES = (0.2, 0.4, 0.65, 0.0)  # where in the film to look; the start needs no seeking and comes last
_WIDEST = 1280
_SECONDS = 120.0
_DARK = 32.0  # luma of 16 (black) to 235 (white) below which a mean is dark
_FLAT = 24.0  # least distance between the 10th and the 90th percentile of luma


class Luma(msgspec.Struct, frozen=True):
    """Mean and 10th and 90th percentile of a picture's luma."""

    mean: float
    low: float
    high: float

    @property
    def telling(self) -> bool:
        """Whether the picture is neither black nor of one colour."""
        return self.mean >= _DARK and self.high - self.low >= _FLAT


async def cut_poster(tools: Tools, source: Path, facts: Facts, output: Path) -> bool:
    """Write a JPEG of the film to `output`; False when none can be cut.

    Tries a few places and keeps the first picture that is neither dark nor flat, else the one with most contrast.
    """
    scale = min(1.0, _WIDEST / facts.width)
    width, height = round(facts.width * scale), round(facts.height * scale)
    best = -1.0
    kept = output.with_suffix(".best.jpg")
    for share in _SHARES:
        at = facts.duration_seconds * share
        try:
            await run(commands.poster(tools, source, facts, at, width, height, output), _SECONDS)
            luma = await _luma(tools, output)
        except ToolFailed:
            continue
        if luma.high - luma.low > best:
            best = luma.high - luma.low
            await asyncio.to_thread(output.replace, kept)
        if luma.telling:
            break
    if best < 0:
        return False
    await asyncio.to_thread(kept.replace, output)
    return True


async def _luma(tools: Tools, picture: Path) -> Luma:
    said = (await run(commands.measure_luma(tools, picture), _SECONDS)).stdout
    values = dict(line.strip().split("=", 1) for line in said.splitlines() if "=" in line)
    try:
        return Luma(*(float(values[f"lavfi.signalstats.{name}"]) for name in ("YAVG", "YLOW", "YHIGH")))
    except KeyError as error:
        raise ToolFailed("The picture that was cut from the film cannot be read.") from error
