"""Checks on a finished track before anybody can see it: it decodes whole, and it is cut where all the others are cut."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from kinema.core.errors import KinemaError
from kinema.model.encoding import Track
from kinema.services.encoding import commands
from kinema.services.encoding.tools import ToolFailed, Tools, run

_DECODE_SECONDS = 6 * 3600.0


class NotVerified(KinemaError):
    """A track that was made is not fit to be published. Its steps are in the ledger, so repeating would not better it."""


def equal_gops(frames: int, gop: int) -> tuple[int, ...]:
    """Return how many pictures each GOP of a stream has when all but the last are equally long."""
    return tuple(min(gop, frames - start) for start in range(0, frames, gop))


async def verify_video(path: Path, track: Track, gops: Sequence[int], tools: Tools) -> None:
    """Check a rung whose GOPs have this many pictures: every picture decodes without a fault, and each GOP is a segment."""
    frames = sum(gops)
    pictures = await _packets(path, tools)
    if len(pictures) != frames:
        raise NotVerified(
            f"The rung {track.name} has {len(pictures)} pictures, {frames} were encoded; upload the file again."
        )
    keys = [number for number, (_, key) in enumerate(pictures) if key]
    if keys != [0, *accumulate(gops)][:-1]:
        raise NotVerified(f"The key frames of {track.name} do not stand where its GOPs begin; upload the file again.")
    tick = Fraction(track.timescale) / Fraction(track.frame_rate)
    times = sorted(time for time, _ in pictures)
    if times != [times[0] + round(number * tick) for number in range(frames)]:
        raise NotVerified(f"The pictures of {track.name} are not evenly spaced; upload the file again.")
    expected = [round(tick * pictures) for pictures in gops]
    if [segment.duration for segment in track.segments] != expected:
        raise NotVerified(f"The segments of {track.name} are not cut at its key frames; upload the file again.")
    decoded = await _decode(path, track, tools)
    if decoded != frames:
        raise NotVerified(f"Only {decoded} of {frames} pictures of {track.name} can be decoded; upload the file again.")


async def verify_audio(path: Path, track: Track, film_seconds: float, tools: Tools) -> None:
    """Check a sound track: it decodes without a fault and is as long as the film, to a tenth of a second."""
    seconds = sum(segment.duration for segment in track.segments) / track.timescale
    if abs(seconds - film_seconds) > 0.1:
        raise NotVerified(
            f"The sound {track.name} lasts {seconds:.2f} s, the film {film_seconds:.2f} s; upload the file again."
        )
    await _decode(path, track, tools)


def verify_alignment(tracks: tuple[Track, ...]) -> None:
    """Check that all rungs have the same segment boundaries, so that a player can change rungs at each."""
    boundaries = {
        tuple(Fraction(segment.duration, track.timescale) for segment in track.segments)
        for track in tracks
        if track.kind == "video"
    }
    if len(boundaries) > 1:
        raise NotVerified("The rungs are cut at different times; upload the file again.")


async def _packets(path: Path, tools: Tools) -> list[tuple[int, bool]]:
    found: list[tuple[int, bool]] = []

    def take(line: str) -> None:
        time, _, flags = line.partition(",")
        if time.lstrip("-").isdigit():
            found.append((int(time), flags.startswith("K")))

    await run(commands.list_packets(tools, path), _DECODE_SECONDS, take, keep_output=False)
    return found


async def _decode(path: Path, track: Track, tools: Tools) -> int:
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
