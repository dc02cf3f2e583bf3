"""Sheets of small pictures that a player shows while somebody seeks.

The film is divided into equal intervals; each has a picture, row by row on sheets of at most ten by ten. Pictures are taken of the
lowest rung's key frames only, so hardly anything is decoded: an interval shows the last key frame that begins in or before it.
Intervals are equal because DASH's tiles and HLS's image playlists know no others (DASH-IF Interoperability Points 4.3, 6.2.6).
"""

import asyncio
import math
from fractions import Fraction
from pathlib import Path

import msgspec

from kinema.core.ids import new_id
from kinema.model.encoding import ByteRange, Segment, Tiles, Track
from kinema.services.encoding.packaging.tracks import bandwidths
from kinema.services.encoding.tools import Tools, run
from kinema.storage.content import digest_of_file

_SHORTEST_SECONDS = 2
_LONGEST_SECONDS = 10
_ENOUGH = 600  # pictures of a film; one an interval of 10 s when it is longer than this allows
_SIDE = 10  # pictures in a row and in a column
_WIDTH, _HEIGHT = 240, 240  # the box that a picture is fitted into
_TIMESCALE = 1000
_SECONDS = 3600.0


class Grid(msgspec.Struct, frozen=True):
    """How a film's small pictures are laid out: how many there are, and what each sheet is."""

    pictures: int
    sheets: int
    tiles: Tiles


def grid_for(seconds: float, width: int, height: int) -> Grid:
    """Return the grid for a film of this duration, whose pictures have this size (as shown)."""
    every = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, math.ceil(seconds / _ENOUGH)))
    pictures = max(1, math.ceil(seconds / every))
    columns = min(_SIDE, pictures)
    rows = min(_SIDE, math.ceil(pictures / columns))
    scale = min(Fraction(_WIDTH, width), Fraction(_HEIGHT, height), Fraction(1))
    tiles = Tiles(columns, rows, _even(width * scale), _even(height * scale), float(every))
    return Grid(pictures, math.ceil(pictures / (columns * rows)), tiles)


async def cut_sheets(
    tools: Tools, rung: Path, grid: Grid, seconds: float, scratch: Path
) -> tuple[tuple[Track, Path], ...]:
    """Make the sheets of a film from its lowest rung, clear; return each as a track, with its file in `scratch`.

    Raises ToolFailed when the rung cannot be decoded or fewer sheets came out than belong.
    """
    stem = new_id("tmp")
    await run(_command(tools, rung, grid, scratch / f"{stem}-%d.jpg"), _SECONDS)
    made: list[tuple[Track, Path]] = []
    each = grid.tiles.columns * grid.tiles.rows * grid.tiles.seconds
    for number in range(1, grid.sheets + 1):
        path = scratch / f"{stem}-{number}.jpg"
        lasts = min(each, seconds - (number - 1) * each)
        made.append((await _sheet(path, f"thumbnails-{number}", grid.tiles, lasts), path))
    return tuple(made)


def _command(tools: Tools, rung: Path, grid: Grid, output: Path) -> list[str]:
    tiles = grid.tiles
    filters = [
        f"fps=1/{tiles.seconds:g}:start_time=0:round=down:eof_action=pass",
        f"tpad=stop_mode=clone:stop={grid.pictures}",
        f"trim=end_frame={grid.pictures}",
        f"scale={tiles.width}:{tiles.height}:flags=bicubic:out_range=full",
        "setsar=1",
        f"tile={tiles.columns}x{tiles.rows}:color=black",
        "format=yuvj420p",
    ]
    return [
        tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error", "-skip_frame", "nokey", "-i", f"file:{rung}",
        "-map", "0:v:0", "-an", "-vf", ",".join(filters), "-fps_mode", "passthrough", "-q:v", "4", "-f", "image2", f"file:{output}",
    ]  # fmt: skip


async def _sheet(path: Path, name: str, tiles: Tiles, seconds: float) -> Track:
    size = (await asyncio.to_thread(path.stat)).st_size
    digest = await digest_of_file(path)
    segment = Segment(0, size, max(1, round(seconds * _TIMESCALE)), digest)
    peak, average = bandwidths((segment,), _TIMESCALE)
    return Track(
        name=name,
        kind="image",
        digest=digest,
        size=size,
        codec="jpeg",
        bandwidth=peak,
        average_bandwidth=average,
        init=ByteRange(0, 0),
        index=ByteRange(0, 0),
        timescale=_TIMESCALE,
        segments=(segment,),
        width=tiles.width * tiles.columns,
        height=tiles.height * tiles.rows,
        tiles=tiles,
    )


def _even(side: Fraction) -> int:
    return max(2, 2 * round(side / 2))
