"""A rung: its chunks, encoded anywhere and in any order, checked over their seams and joined.

    1. Encode all chunks, each as if the buffer were nearly full at its start.
    2. Go through them in order with the fill that the buffer really has. A chunk that asks for more is encoded again, told
       the fill that it will find; an encoder that does not keep to a buffer gets a worse CRF instead, step by step.
    3. Join them.

Most seams hold at once, because a cut needs no more bits than the buffer holds. Where one does not, only that chunk is
waited for again.
"""

from collections.abc import Sequence

import msgspec

from kinema.services.encoding.chunks.cut import Chunk, chunks_of
from kinema.services.encoding.chunks.encode import ENCODE_CHUNK, Encode, Encoded
from kinema.services.encoding.chunks.join import JOIN, Join, Piece
from kinema.services.encoding.codecs.table import codec_named
from kinema.services.encoding.execution.steps import Steps
from kinema.services.encoding.execution.together import together
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.shots.timeline import Timeline

_FULL = 0.9
_ATTEMPTS = 4
_WORSE = 2.0  # CRF, for a chunk that overdraws the buffer again


class Film(msgspec.Struct, frozen=True):
    """What a rung is made from: the film by its digest (or what stands for it), its facts, its division."""

    source: str
    facts: Facts
    timeline: Timeline


class Quality(msgspec.Struct, frozen=True):
    """How a rung is encoded: by which encoder, at which size, each shot at its CRF, under a ceiling.

    `crfs` are (start, frames, CRF) and cover the film.
    """

    codec: str
    preset: str
    width: int
    height: int
    crfs: tuple[tuple[int, int, float], ...]
    peak_bits_per_second: int
    buffer_bits: int
    threads: int = 1
    hdr: bool = False


class RungChunk(msgspec.Struct, frozen=True):
    """A chunk of a rung: its file under `steps/` by digest, its first picture in the film, its pictures."""

    digest: str
    start: int
    frames: int


class Joined(msgspec.Struct, frozen=True):
    """A rung's pictures in one file under `steps/`: digest, pictures, bytes, processor time of its chunks, bytes of each GOP.

    `chunks` are what it was joined of. `overdrawn` counts the chunks that would empty a decoder's buffer although all was tried.
    """

    digest: str
    frames: int
    size: int
    cpu_seconds: float
    gop_bytes: tuple[int, ...]
    chunks: tuple[RungChunk, ...]
    overdrawn: int


def encodes_of(film: Film, quality: Quality) -> tuple[Encode, ...]:
    """Return the chunks of a rung, to be encoded."""
    return tuple(_encode(film, quality, chunk) for chunk in chunks_of(film.timeline))


async def encode_rung(steps: Steps, film: Film, quality: Quality, priority: int = 0) -> Joined:
    """Encode a rung and join it. Raises what the work raises; the chunks that were finished are found the next time."""
    encodes = encodes_of(film, quality)
    first = await together(steps.do(ENCODE_CHUNK, encode, priority) for encode in encodes)
    made, overdrawn = await _mended(steps, encodes, first, priority)
    pieces = tuple(Piece(encoded.digest, encoded.frames) for encoded in made)
    joined = await steps.do(JOIN, Join(pieces, film.facts.frame_rate), priority)
    return Joined(
        digest=joined.digest,
        frames=sum(encoded.frames for encoded in made),
        size=joined.size,
        cpu_seconds=round(sum(encoded.cpu_seconds for encoded in made), 3),
        gop_bytes=tuple(size for encoded in made for size in encoded.gop_bytes),
        chunks=tuple(
            RungChunk(encoded.digest, encode.start, encode.frames)
            for encode, encoded in zip(encodes, made, strict=True)
        ),
        overdrawn=overdrawn,
    )


async def _mended(
    steps: Steps, encodes: Sequence[Encode], made: Sequence[Encoded], priority: int
) -> tuple[list[Encoded], int]:
    """Return the chunks such that none asks for more than the buffer holds, and how many still do."""
    fill = round(_FULL * encodes[0].buffer_bits)
    kept: list[Encoded] = []
    overdrawn = 0
    for first, encoded in zip(encodes, made, strict=True):
        encode = first
        for attempt in range(_ATTEMPTS):
            if encoded.drain.needs <= fill:
                break
            encode = _gentler(encode, fill, attempt)
            encoded = await steps.do(ENCODE_CHUNK, encode, priority)  # noqa: PLW2901 -- the chunk is encoded again
        else:
            overdrawn += encoded.drain.needs > fill
        kept.append(encoded)
        fill = max(0, encoded.drain.after(fill))
    return kept, overdrawn


def _gentler(encode: Encode, fill: int, attempt: int) -> Encode:
    """Return what to try instead: tell the fill first, then spend less."""
    told = msgspec.structs.replace(encode, buffer_fill=round(max(0.0, fill / encode.buffer_bits), 4))
    if attempt == 0 and codec_named(encode.codec).zones:
        return told
    worst = codec_named(encode.codec).crfs[1]
    crfs = tuple((start, frames, min(crf + _WORSE, worst)) for start, frames, crf in encode.crfs)
    return msgspec.structs.replace(told, crfs=crfs)


def _encode(film: Film, quality: Quality, chunk: Chunk) -> Encode:
    end = chunk.start + chunk.frames
    crfs = tuple(
        (max(start, chunk.start), min(start + frames, end) - max(start, chunk.start), crf)
        for start, frames, crf in quality.crfs
        if start < end and start + frames > chunk.start
    )
    return Encode(
        source=film.source,
        facts=bare(film.facts),
        codec=quality.codec,
        preset=quality.preset,
        width=quality.width,
        height=quality.height,
        start=chunk.start,
        frames=chunk.frames,
        gops=chunk.gops,
        crfs=crfs,
        peak_bits_per_second=quality.peak_bits_per_second,
        buffer_bits=quality.buffer_bits,
        threads=quality.threads,
        hdr=quality.hdr,
        buffer_fill=_FULL,
    )


def bare(facts: Facts) -> Facts:
    """Return the facts without what pictures do not depend on, so that a new reading of sound and text encodes nothing again."""
    return msgspec.structs.replace(facts, audio=(), texts=(), chapters=(), dropped_audio=0, dropped_texts=0)
