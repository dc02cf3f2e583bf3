"""A lossless copy of a film's pictures at their constant rate, for films in which decoding cannot begin anywhere.

A transport stream whose clock jumps, an AVI without times, telecined pictures: their pictures are only known by decoding from the
start. They are decoded once, the timing filters run once, and FFV1 (RFC 9043) keeps every picture as it is, each by itself.
From there on the copy stands for the film. It is large, some hundred Mbit/s for 1080 lines, and goes when the job ends.
"""

from fractions import Fraction

import msgspec

from kinema.services.encoding.chunks.packets import list_packets
from kinema.services.encoding.chunks.pictures import SPARE_SECONDS
from kinema.services.encoding.codecs.table import decoding_seconds
from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.inspection import Facts, Unusable, timing_filters
from kinema.services.encoding.tools import ToolFailed, run, untrusted
from kinema.storage.content import content_key

_NORMALISE_SECONDS = 7 * 24 * 3600.0
_MEMORY_BYTES = 300 << 20
_LOSSLESS_SECONDS = 0.03  # of processor time for a million pixels


class Normalise(msgspec.Struct, frozen=True):
    """A film by its digest, and what it is."""

    source: str
    facts: Facts
    threads: int = 1


class Normalised(msgspec.Struct, frozen=True):
    """The copy's digest under `steps/`, its pictures, and its facts, with which it is used in the film's place."""

    digest: str
    frames: int
    facts: Facts


async def normalise(context: Context, film: Normalise) -> Normalised:
    """Make the copy. Raises Unusable when no picture can be decoded."""
    source = await context.film(film.source)
    output = context.fresh("mkv")
    facts = film.facts
    seconds = facts.duration_seconds + SPARE_SECONDS
    unused = [index for audio in facts.audio for index in ("-map", f"0:{audio.index}")]
    command = [
        context.tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error", "-nostats",
        "-threads", str(film.threads), "-filter_threads", str(film.threads), *untrusted(source),
        "-map", f"0:{facts.video_index}", "-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn",
        "-vf", ",".join(timing_filters(facts)), "-fps_mode", "passthrough", "-t", f"{seconds:.6f}",
        "-c:v", "ffv1", "-level", "3", "-g", "1", "-threads", str(film.threads),
        "-fflags", "+bitexact", "-f", "matroska", f"file:{output}",
        # ffmpeg counts time from the first of the streams in use, which must be the same as where sound is encoded.
        *([*unused, "-c", "copy", "-t", f"{seconds:.6f}", "-f", "null", "-"] if unused else []),
    ]  # fmt: skip
    try:
        try:
            await run(command, _NORMALISE_SECONDS, keep_output=False)
            frames = len(await list_packets(context.tools, output))
        except ToolFailed as error:
            raise Unusable("None of the film's pictures can be decoded; convert it to MP4 with H.264.") from error
        return Normalised(await context.keep(output), frames, plain(facts, frames))
    finally:
        output.unlink(missing_ok=True)


def plain(facts: Facts, frames: int) -> Facts:
    """Return the facts of the copy: upright whole pictures at a constant rate, all else as in the film."""
    return msgspec.structs.replace(
        facts,
        container="matroska,webm",
        video_index=0,
        codec="ffv1",
        rotation=0,
        variable_rate=False,
        interlaced=False,
        telecined=False,
        field_order="",
        flagged_interlaced=False,
        untimed=False,
        jumps=0,
        delayed=False,
        held_seconds=0.0,
        start_seconds=0.0,
        packets=frames,
        audio=(),
        texts=(),
        chapters=(),
    )


def _cost(film: Normalise) -> Cost:
    frames = round(film.facts.duration_seconds * Fraction(film.facts.frame_rate))
    pixels = film.facts.width * film.facts.height
    return Cost(
        threads=film.threads,
        memory_bytes=_MEMORY_BYTES + 12 * pixels * 8,
        cpu_seconds=decoding_seconds(film.facts, frames) + frames * pixels / 1e6 * _LOSSLESS_SECONDS,
    )


def _needs(made: Normalised) -> tuple[str, ...]:
    return (content_key("steps", made.digest),)


NORMALISE: WorkKind[Normalise, Normalised] = WorkKind(
    name="normalise", parameters=Normalise, result=Normalised, run=normalise, cost=_cost, needs=_needs
)
