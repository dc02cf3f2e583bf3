"""Where a film is cut into chunks: at shots, each of about ten seconds or more.

A chunk is what one run of an encoder makes. Short ones spread well and lose little with a machine, long ones cost less: every run
begins with an encoder that knows nothing of the pictures before (4 s a chunk lost 6 % of the bits, and the quality jumped at the
seams). At a shot there is nothing to know. So chunks are as many whole shots as make ten seconds, and what is left at the
film's end joins the last one if it is less than half of that.
"""

from fractions import Fraction

import msgspec

from kinema.services.encoding.shots.timeline import Gop, Timeline

CHUNK_SECONDS = 10


class Chunk(msgspec.Struct, frozen=True):
    """Pictures from `start`, `frames` of them, that are encoded in one run, with their GOPs."""

    start: int
    frames: int
    gops: tuple[Gop, ...]


def chunks_of(timeline: Timeline) -> tuple[Chunk, ...]:
    """Return the chunks of a film; they follow one another and cover it."""
    rate = Fraction(timeline.frame_rate)
    starts = [0]
    for shot in timeline.shots[1:]:
        if shot.start - starts[-1] >= CHUNK_SECONDS * rate:
            starts.append(shot.start)
    if len(starts) > 1 and timeline.frames - starts[-1] < CHUNK_SECONDS * rate / 2:
        starts.pop()
    ends = [*starts[1:], timeline.frames]
    return tuple(
        Chunk(start, end - start, timeline.gops_between(start, end - start))
        for start, end in zip(starts, ends, strict=True)
    )
