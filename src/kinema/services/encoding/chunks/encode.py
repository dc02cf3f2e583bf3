"""One chunk of one rung: exactly the pictures that were asked for, key frames exactly where GOPs begin, each shot at its own CRF.

    1. Divide the chunk where its CRF changes, for encoders that cannot change it on the way.
    2. For each part run ffmpeg over exactly its pictures (see `pictures`), key frames forced where GOPs begin and nowhere else.
    3. Put the parts one behind the other, without encoding again.
    4. Count: as many pictures as were asked for, key frames at the GOPs' first pictures only. Anything else is an error.

Threads are pinned and part of the parameters, because with more than one the rate control of an encoder may depend on timing.
With one, the bytes are the same on every run.
"""

from fractions import Fraction
from pathlib import Path

import msgspec

from kinema.services.encoding.chunks.continuity import Drain, drain_of
from kinema.services.encoding.chunks.join import concatenate, timescale
from kinema.services.encoding.chunks.packets import Packet, list_packets
from kinema.services.encoding.chunks.pictures import opened, picked
from kinema.services.encoding.codecs.table import Encode, codec_named, decoding_seconds
from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.inspection import Unusable, picture_filters, timing_filters
from kinema.services.encoding.tools import ToolFailed, cpu_seconds, run
from kinema.storage.content import content_key

__all__ = ["ENCODE_CHUNK", "Encode", "Encoded", "command", "encode_chunk", "parts"]

_ENCODE_SECONDS = 24 * 3600.0
_SOURCE_PICTURES = 24  # of the source's size, in memory between decoder and scaler
_PROGRAM_BYTES = 80 << 20


class Encoded(msgspec.Struct, frozen=True):
    """An encoded chunk: its file under `steps/` by digest, its pictures, its bytes, the processor time it took.

    `gop_bytes` are the bytes of each GOP, `drain` is what the chunk does to a decoder's buffer.
    """

    digest: str
    frames: int
    size: int
    cpu_seconds: float
    gop_bytes: tuple[int, ...]
    drain: Drain


async def encode_chunk(context: Context, encode: Encode) -> Encoded:
    """Encode a chunk. Raises Unusable when the film's pictures cannot be decoded, ToolFailed when the encoder does what it should not."""
    source = await context.film(encode.source)
    made = []
    output = context.fresh("mp4")
    seconds = 0.0
    try:
        for part in parts(encode):
            piece = context.fresh("mp4")
            made.append((piece, part.frames))
            try:
                said = (await run(command(context, source, part, piece), _ENCODE_SECONDS, keep_output=False)).stderr
            except ToolFailed as error:
                raise _unreadable(error, part) from error
            seconds += cpu_seconds(said)
        if len(made) == 1:
            made[0][0].replace(output)
        else:
            await concatenate(context.tools, made, Fraction(encode.facts.frame_rate), output)
        packets = await list_packets(context.tools, output)
        gop_bytes = _gop_bytes(encode, packets)
        size = output.stat().st_size
        rate = Fraction(encode.facts.frame_rate)
        sizes = [packet.size for packet in packets]
        drain = drain_of(sizes, rate, encode.peak_bits_per_second, encode.buffer_bits)
        return Encoded(await context.keep(output), encode.frames, size, round(seconds, 3), gop_bytes, drain)
    finally:
        for piece, _ in made:
            piece.unlink(missing_ok=True)
        output.unlink(missing_ok=True)


def parts(encode: Encode) -> tuple[Encode, ...]:
    """Divide a chunk where its CRF changes, if its encoder cannot change it on the way."""
    if codec_named(encode.codec).zones:
        return (encode,)
    divided = []
    for start, frames, crf in _merged(encode.crfs):
        gops = tuple(gop for gop in encode.gops if start <= gop.start < start + frames)
        divided.append(
            msgspec.structs.replace(encode, start=start, frames=frames, gops=gops, crfs=((start, frames, crf),))
        )
    return tuple(divided)


def _merged(crfs: tuple[tuple[int, int, float], ...]) -> list[tuple[int, int, float]]:
    merged: list[tuple[int, int, float]] = []
    for start, frames, crf in crfs:
        if merged and merged[-1][2] == crf:
            merged[-1] = (merged[-1][0], merged[-1][1] + frames, crf)
        else:
            merged.append((start, frames, crf))
    return merged


def command(context: Context, source: Path, encode: Encode, output: Path) -> list[str]:
    """Return the command that encodes a chunk (or a part of it) to an MP4 of its own, from time 0 on."""
    rate = Fraction(encode.facts.frame_rate)
    filters = [
        *timing_filters(encode.facts),
        *picked(encode.facts, encode.start, encode.frames),
        *picture_filters(encode.facts, encode.width, encode.height, hdr=encode.hdr),
    ]
    # A microsecond early: a time that was rounded up would force the picture behind.
    keys = ",".join(f"{max(0, int((gop.start - encode.start) / rate * 1_000_000) - 1)}us" for gop in encode.gops)
    return [
        context.tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "info", "-nostats", "-benchmark",
        "-filter_threads", str(encode.threads), *opened(source, encode.facts, encode.start, encode.threads),
        "-map", f"0:{encode.facts.video_index}", "-map_metadata", "-1", "-map_chapters", "-1", "-an", "-sn", "-dn",
        "-vf", ",".join(filters), "-fps_mode", "passthrough", "-force_key_frames", keys,
        *codec_named(encode.codec).arguments(encode),
        "-fflags", "+bitexact", "-video_track_timescale", str(timescale(rate)), "-f", "mp4", f"file:{output}",
    ]  # fmt: skip


def _unreadable(error: ToolFailed, encode: Encode) -> Exception:
    """Return the film's fault where ffmpeg's words show that it is one, else the tool's."""
    if any(sign in error.said for sign in ("Output file is empty", "No filtered frames", "received no packets")):
        seconds = encode.start / Fraction(encode.facts.frame_rate)
        return Unusable(
            f"The film's pictures cannot be decoded from second {float(seconds):.1f} on; "
            "the file is damaged or cut short, send the whole file again."
        )
    return error


def _gop_bytes(encode: Encode, packets: list[Packet]) -> tuple[int, ...]:
    """Return the bytes of each GOP. Raises Unusable when pictures are missing, ToolFailed when a key frame is or is too many."""
    if len(packets) < encode.frames:
        seconds = (encode.start + len(packets)) / Fraction(encode.facts.frame_rate)
        raise Unusable(
            f"The film's pictures end at second {float(seconds):.1f} although it should be longer; "
            "the file is damaged or cut short, send the whole file again."
        )
    keys = [index for index, packet in enumerate(packets) if packet.key]
    wanted = [gop.start - encode.start for gop in encode.gops]
    if keys != wanted or len(packets) != encode.frames:
        raise ToolFailed(
            f"{encode.codec} made {len(packets)} pictures with key frames at {keys[:20]}; "
            f"{encode.frames} with key frames at {wanted[:20]} were asked for."
        )
    ends = [*keys[1:], len(packets)]
    return tuple(sum(packet.size for packet in packets[key:end]) for key, end in zip(keys, ends, strict=True))


def _cost(encode: Encode) -> Cost:
    """Estimate from what the encoder takes for a pixel, and from decoding its source."""
    codec = codec_named(encode.codec)
    seconds = codec.seconds.get(encode.preset, max(codec.seconds.values()))
    pixels = encode.width * encode.height
    held = codec.pictures_held * pixels + _SOURCE_PICTURES * encode.facts.width * encode.facts.height
    depth = 2 if encode.hdr else 1
    return Cost(
        threads=encode.threads,
        memory_bytes=_PROGRAM_BYTES + round(held * 1.5 * depth),
        cpu_seconds=encode.frames * pixels / 1e6 * seconds * depth + decoding_seconds(encode.facts, encode.frames),
    )


def _needs(encoded: Encoded) -> tuple[str, ...]:
    return (content_key("steps", encoded.digest),)


ENCODE_CHUNK: WorkKind[Encode, Encoded] = WorkKind(
    name="encode-chunk", parameters=Encode, result=Encoded, run=encode_chunk, cost=_cost, needs=_needs
)
