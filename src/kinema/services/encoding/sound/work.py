"""Sound as work: one kind measures a sound whole, one encodes it whole. Chunks of sound would each add priming of their own."""

from pathlib import Path

import msgspec

from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.inspection import AudioFacts, Facts, Unusable
from kinema.services.encoding.sound import commands
from kinema.services.encoding.sound.loudness import Loudness, read_summaries
from kinema.services.encoding.sound.renditions import SoundRendition
from kinema.services.encoding.tools import ToolFailed, Tools, run
from kinema.storage.content import content_key

_SECONDS = 24 * 3600.0
_PROGRAM_BYTES = 80 << 20
_CPU = {"measure": 0.006, "aac": 0.007, "opus": 0.004}  # processor time for a second of one channel


class MeasureSound(msgspec.Struct, frozen=True):
    """A sound to measure: the film's digest and facts, and which of its sounds."""

    source: str
    facts: Facts
    audio: AudioFacts


class EncodeSound(msgspec.Struct, frozen=True):
    """A sound to encode, moved by `gain_db`."""

    source: str
    facts: Facts
    audio: AudioFacts
    rendition: SoundRendition
    gain_db: float


class EncodedSound(msgspec.Struct, frozen=True):
    """An encoded sound: its file under `steps/` by digest, and its bytes."""

    digest: str
    size: int


async def measure_sound(tools: Tools, source: Path, facts: Facts, audio: AudioFacts) -> Loudness:
    """Measure a sound of a film. Raises Unusable when it cannot be decoded."""
    try:
        said = (await run(commands.measure(tools, source, facts, audio), _SECONDS, keep_output=False)).stderr
    except ToolFailed as error:
        raise _unreadable(audio) from error
    loudness = read_summaries(said)
    if loudness is None:
        raise _unreadable(audio)
    return loudness


async def encode_sound(
    tools: Tools, source: Path, facts: Facts, audio: AudioFacts, rendition: SoundRendition, gain_db: float, output: Path
) -> None:
    """Encode a sound of a film to an MP4. Raises Unusable when it cannot be decoded."""
    try:
        await run(commands.encode(tools, source, facts, audio, rendition, gain_db, output), _SECONDS, keep_output=False)
    except ToolFailed as error:
        raise _unreadable(audio) from error


async def _measure(context: Context, wanted: MeasureSound) -> Loudness:
    return await measure_sound(context.tools, await context.film(wanted.source), wanted.facts, wanted.audio)


async def _encode(context: Context, wanted: EncodeSound) -> EncodedSound:
    source = await context.film(wanted.source)
    output = context.fresh("mp4")
    try:
        await encode_sound(context.tools, source, wanted.facts, wanted.audio, wanted.rendition, wanted.gain_db, output)
        size = output.stat().st_size
        return EncodedSound(await context.keep(output), size)
    finally:
        output.unlink(missing_ok=True)


def _unreadable(audio: AudioFacts) -> Unusable:
    return Unusable(f"The film's sound cannot be decoded ({audio.codec}); convert it to AAC.")


def _cost(work: str, facts: Facts, channels: int) -> Cost:
    return Cost(threads=1, memory_bytes=_PROGRAM_BYTES, cpu_seconds=facts.duration_seconds * channels * _CPU[work])


MEASURE_SOUND: WorkKind[MeasureSound, Loudness] = WorkKind(
    name="measure-sound",
    parameters=MeasureSound,
    result=Loudness,
    run=_measure,
    cost=lambda wanted: _cost("measure", wanted.facts, wanted.audio.channels),
)
ENCODE_SOUND: WorkKind[EncodeSound, EncodedSound] = WorkKind(
    name="encode-sound",
    parameters=EncodeSound,
    result=EncodedSound,
    run=_encode,
    cost=lambda wanted: _cost(wanted.rendition.codec, wanted.facts, wanted.rendition.channels),
    needs=lambda encoded: (content_key("steps", encoded.digest),),
)
