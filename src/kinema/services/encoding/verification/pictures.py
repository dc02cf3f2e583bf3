"""Checks on a finished rung: all its pictures are there at their times, decode without a fault, and are cut where they should be."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from kinema.model.encoding import Track
from kinema.services.encoding import commands
from kinema.services.encoding.tools import ToolFailed, Tools, run
from kinema.services.encoding.verification.errors import NotVerified

_DECODE_SECONDS = 6 * 3600.0


def equal_gops(frames: int, gop: int) -> tuple[int, ...]:
    """Return how many pictures each GOP of a stream has when all but the last are equally long."""
    return tuple(min(gop, frames - start) for start in range(0, frames, gop))


async def verify_video(path: Path, track: Track, gops: Sequence[int], tools: Tools) -> None:
    """Check a rung whose GOPs have this many pictures: every picture decodes without a fault, and each GOP is a segment."""
    frames = sum(gops)
    pictures = await packets(path, tools)
    if len(pictures) != frames:
        raise NotVerified(
            f"The rung {track.name} has {len(pictures)} pictures, {frames} were encoded; upload the file again."
        )
    keys = [number for number, (_, key) in enumerate(pictures) if key]
    if keys != [0, *accumulate(gops)][:-1]:
        raise NotVerified(f"The key frames of {track.name} do not stand where its GOPs begin; upload the file again.")
    tick = Fraction(track.timescale) / Fraction(track.frame_rate)
    times = sorted(time for time, _ in pictures)
    if abs(times[0]) > tick / 2:
        raise NotVerified(f"The pictures of {track.name} do not begin at 0; upload the file again.")
    if times != [times[0] + round(number * tick) for number in range(frames)]:
        raise NotVerified(f"The pictures of {track.name} are not evenly spaced; upload the file again.")
    expected = [round(tick * pictures) for pictures in gops]
    if [segment.duration for segment in track.segments] != expected:
        raise NotVerified(f"The segments of {track.name} are not cut at its key frames; upload the file again.")
    decoded = await decode(path, track, tools)
    if decoded != frames:
        raise NotVerified(f"Only {decoded} of {frames} pictures of {track.name} can be decoded; upload the file again.")


async def packets(path: Path, tools: Tools) -> list[tuple[int, bool]]:
    """Return the presentation time of each packet of a track, in its ticks, and whether it is a key frame, in the file's order."""
    found: list[tuple[int, bool]] = []

    def take(line: str) -> None:
        time, _, flags = line.partition(",")
        if time.lstrip("-").isdigit():
            found.append((int(time), flags.startswith("K")))

    await run(commands.list_packets(tools, path), _DECODE_SECONDS, take, keep_output=False)
    return found


async def decode(path: Path, track: Track, tools: Tools) -> int:
    """Decode a track whole and return how many pictures it has. Raises NotVerified at the first fault."""
    frames = 0

    def take(number: int) -> None:
        nonlocal frames
        frames = number

    try:
        output = await run(commands.decode(tools, path), _DECODE_SECONDS, frame_counter(take), keep_output=False)
    except ToolFailed as error:
        raise NotVerified(f"The track {track.name} does not decode ({error.detail}); upload the file again.") from error
    if output.stderr.strip():
        raise NotVerified(
            f"The track {track.name} decodes with faults ({output.stderr.strip()[:200]}); upload the file again."
        )
    return frames


def frame_counter(take: Callable[[int], None]) -> Callable[[str], None]:
    """Return a reader of ffmpeg's progress lines that hands on the number of pictures so far."""

    def read(line: str) -> None:
        name, _, value = line.strip().partition("=")
        if name == "frame" and value.isdigit():
            take(int(value))

    return read
