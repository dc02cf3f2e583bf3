"""Putting encoded pieces one behind the other, without encoding again.

ffmpeg's concat demuxer moves each piece behind the one before by the duration that its list says. These are given in
microseconds such that their sums, not they themselves, are rounded: so the times never drift, however many pieces there are. All
pieces must have been encoded with the same parameter sets; a rung whose pieces differ could not be decoded with one header,
so that is looked at and is an error.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import msgspec

from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.tools import ToolFailed, Tools, run
from kinema.storage.content import content_key

_JOIN_SECONDS = 3600.0
_JOIN_BYTES = 60 << 20


class Piece(msgspec.Struct, frozen=True):
    """An encoded chunk: its digest under `steps/`, and its pictures."""

    digest: str
    frames: int


class Join(msgspec.Struct, frozen=True):
    """The chunks of a rung in order, at their constant rate ("30000/1001")."""

    pieces: tuple[Piece, ...]
    frame_rate: str


class JoinedFile(msgspec.Struct, frozen=True):
    """The whole rung: its digest under `steps/`, and its bytes."""

    digest: str
    size: int


async def join(context: Context, wanted: Join) -> JoinedFile:
    """Put a rung's chunks one behind the other. Raises NotFound when one is gone."""
    pieces = [(await context.fetch("steps", piece.digest), piece.frames) for piece in wanted.pieces]
    output = context.fresh("mp4")
    try:
        await concatenate(context.tools, pieces, Fraction(wanted.frame_rate), output)
        size = output.stat().st_size
        return JoinedFile(await context.keep(output), size)
    finally:
        output.unlink(missing_ok=True)


async def concatenate(tools: Tools, pieces: Sequence[tuple[Path, int]], rate: Fraction, output: Path) -> None:
    """Write the pieces (file, pictures) one behind the other into one MP4 at this rate.

    Raises ToolFailed when they cannot be read or do not have the same parameter sets.
    """
    sets = {await _parameter_sets(tools, path) for path, _ in pieces}
    if len(sets) > 1:
        raise ToolFailed("The chunks of a rung were encoded with different parameter sets and cannot be joined.")
    bounds = [0, *accumulate(frames for _, frames in pieces)]
    micros = [round(bound / rate * 1_000_000) for bound in bounds]
    lines = ["ffconcat version 1.0"]
    for (path, _), (begin, end) in zip(pieces, pairwise(micros), strict=True):
        lines += [f"file {_quoted(path)}", f"duration {end - begin}us"]
    plan = output.with_suffix(".ffconcat")
    plan.write_text("\n".join(lines) + "\n")
    try:
        await run(
            [
                tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error",
                "-f", "concat", "-safe", "0", "-auto_convert", "0", "-i", f"file:{plan}",
                "-map", "0:v:0", "-c", "copy", "-map_metadata", "-1", "-fflags", "+bitexact",
                "-video_track_timescale", str(timescale(rate)), "-f", "mp4", f"file:{output}",
            ],
            _JOIN_SECONDS,
            keep_output=False,
        )  # fmt: skip
    finally:
        plan.unlink(missing_ok=True)


def timescale(rate: Fraction) -> int:
    """Return ticks a second of which every picture of this rate has a whole number, fine enough for any sound beside it."""
    ticks = rate.numerator
    while ticks < 10_000:
        ticks *= 2
    return ticks


def _quoted(path: Path) -> str:
    return "'" + str(path.absolute()).replace("'", "'\\''") + "'"


async def _parameter_sets(tools: Tools, path: Path) -> str:
    """Return a digest of what a decoder is told before the first picture."""
    show = ["-select_streams", "0", "-show_entries", "stream=extradata_hash", "-show_data_hash", "sha256"]
    output = await run([tools.ffprobe, "-v", "error", "-i", f"file:{path}", *show, "-of", "csv=p=0"], 60.0)
    return output.stdout.strip()


def _cost(wanted: Join) -> Cost:
    return Cost(threads=1, memory_bytes=_JOIN_BYTES, cpu_seconds=0.2 + 0.1 * len(wanted.pieces))


def _needs(made: JoinedFile) -> tuple[str, ...]:
    return (content_key("steps", made.digest),)


JOIN: WorkKind[Join, JoinedFile] = WorkKind(
    name="join", parameters=Join, result=JoinedFile, run=join, cost=_cost, needs=_needs
)
