"""The quick version: one rung, made at once, so that a film plays long before its ladder is there.

It needs no look at the pictures: a grid of equal GOPs, the fixed ladder's first rung with its fast preset, chunks of some
seconds on all processors. It is verified like any other rung. A film in which decoding cannot begin anywhere is one
chunk. Its segments are not those of the ladder; whoever plays it keeps its version.
"""

from fractions import Fraction

from kinema.services.encoding.allocation.rungs import PlannedRung, PlannedShot
from kinema.services.encoding.chunks.pictures import can_seek
from kinema.services.encoding.chunks.rung import Film, bare
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.ladder import rungs_for
from kinema.services.encoding.shots.timeline import Shot, Timeline, timeline


def quick_film(digest: str, facts: Facts) -> Film:
    """Return the film divided into equal GOPs, each a shot of its own, so that chunks are as short as they may be."""
    rate = Fraction(facts.frame_rate)
    grid = timeline((), max(1, round(facts.duration_seconds * rate)), rate)
    shots = tuple(Shot(gop.start, gop.frames) for gop in grid.gops) if can_seek(facts) else (Shot(0, grid.frames),)
    return Film(digest, bare(facts), Timeline(grid.frame_rate, shots, grid.gops))


def quick_rung(facts: Facts, frames: int) -> PlannedRung:
    """Return the rung with which a film of so many pictures becomes playable."""
    rung = rungs_for(facts.width, facts.height, Fraction(facts.frame_rate))[0]
    return PlannedRung(
        name=rung.name,
        codec="x264",
        preset=rung.preset,
        width=rung.width,
        height=rung.height,
        bits_per_second=0,
        vmaf=0.0,
        peak_bits_per_second=rung.peak_bits_per_second,
        buffer_bits=rung.buffer_bits,
        reason="The first rung, made at once with a fast preset.",
        shots=(PlannedShot(0, frames, float(rung.crf), 0, 0.0),),
    )
