"""Probes: trial encodes of an excerpt, each scored, and the curves that are drawn through what they measured.

    1. Decode the excerpt once, through the encoder's filters, to plain pictures at the film's own size. Decoding a large film
       from the key frame before costs more than a small trial does, and there are fifteen of these.
    2. For each trial: scale and encode the pictures, as the encoder would; score the result against them.
    3. The rate of the whole GOP follows from the excerpt's: the first picture counts once, the others as often as there will be of them.

A title's point at a CRF is the mean of its excerpts', each counted by the pictures that it stands for, in bits and in VMAF.
"""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import msgspec

from kinema.core.errors import BadInput
from kinema.services.encoding.chunks.packets import list_packets
from kinema.services.encoding.chunks.pictures import opened, picked
from kinema.services.encoding.codecs.table import Encode, codec_named, decoding_seconds
from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.inspection import Facts, picture_filters, timing_filters
from kinema.services.encoding.quality.curve import Point, fit
from kinema.services.encoding.quality.hull import Candidate
from kinema.services.encoding.quality.plan import Excerpt, Trial
from kinema.services.encoding.quality.vmaf import Model, Score, compare, comparison, scored_size, scoring_cost, summary
from kinema.services.encoding.shots.timeline import Gop
from kinema.services.encoding.tools import ToolFailed, cpu_seconds, run

_UNLIMITED = 99_000_000  # bits per second: a ceiling that no probe reaches and every encoder takes
_PROBE_SECONDS = 6 * 3600.0
_BEFORE = 60  # pictures that are decoded on the way from a key frame to the excerpt, as a rule


class Probe(msgspec.Struct, frozen=True):
    """Trials of one excerpt of a film (`source` by digest), scored with one model."""

    source: str
    facts: Facts
    excerpt: Excerpt
    trials: tuple[Trial, ...]
    model: Model
    threads: int = 1
    hdr: bool = False


class Measured(msgspec.Struct, frozen=True):
    """What a trial came to: the mean rate of the GOP that the excerpt begins, its score, and the processor time of encoding alone."""

    trial: Trial
    bits_per_second: float
    score: Score
    cpu_seconds: float


class Probed(msgspec.Struct, frozen=True):
    """An excerpt's measurements in the order of the trials, and the processor time that they took in all."""

    excerpt: Excerpt
    measured: tuple[Measured, ...]
    cpu_seconds: float


async def probe(context: Context, parameters: Probe) -> Probed:
    """Encode and score all trials of an excerpt. Raises Unusable when its pictures cannot be decoded."""
    source = await context.film(parameters.source)
    pictures, output = context.fresh("nut"), context.fresh("mp4")
    try:
        seconds = cpu_seconds((await run(_decode(context, source, parameters, pictures), _PROBE_SECONDS)).stderr)
        measured = []
        for trial in parameters.trials:
            said = await run(_encode(context, pictures, parameters, trial, output), _PROBE_SECONDS)
            encoding = cpu_seconds(said.stderr)
            sizes = [packet.size for packet in await list_packets(context.tools, output)]
            score, scoring = await _score(context, output, pictures, parameters)
            measured.append(Measured(trial, _rate(sizes, parameters), score, encoding))
            seconds += encoding + scoring
        return Probed(parameters.excerpt, tuple(measured), round(seconds, 3))
    finally:
        pictures.unlink(missing_ok=True)
        output.unlink(missing_ok=True)


def _decode(context: Context, source: Path, probe: Probe, pictures: Path) -> list[str]:
    facts, excerpt = probe.facts, probe.excerpt
    filters = [
        *timing_filters(facts),
        *picked(facts, excerpt.start, excerpt.frames),
        *picture_filters(facts, *_own_size(facts), hdr=probe.hdr),
    ]
    return [
        context.tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "info", "-nostats", "-benchmark",
        "-filter_threads", str(probe.threads), *opened(source, facts, excerpt.start, probe.threads),
        "-map", f"0:{facts.video_index}", "-an", "-sn", "-dn", "-vf", ",".join(filters), "-fps_mode", "passthrough",
        "-c:v", "rawvideo", "-f", "nut", f"file:{pictures}",
    ]  # fmt: skip


def _encode(context: Context, pictures: Path, probe: Probe, trial: Trial, output: Path) -> list[str]:
    excerpt = probe.excerpt
    encode = Encode(
        source=probe.source,
        facts=probe.facts,
        codec=trial.codec,
        preset=trial.preset,
        width=trial.width,
        height=trial.height,
        start=excerpt.start,
        frames=excerpt.frames,
        gops=(Gop(excerpt.start, excerpt.frames),),
        crfs=((excerpt.start, excerpt.frames, trial.crf),),
        peak_bits_per_second=_UNLIMITED,
        buffer_bits=_UNLIMITED,
        threads=probe.threads,
        hdr=probe.hdr,
    )
    return [
        context.tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "info", "-nostats", "-benchmark",
        "-filter_threads", str(probe.threads), "-threads", str(probe.threads), "-i", f"file:{pictures}",
        "-vf", f"scale={trial.width}:{trial.height}:flags=bicubic,setsar=1", "-fps_mode", "passthrough",
        *codec_named(trial.codec).arguments(encode), "-fflags", "+bitexact", "-f", "mp4", f"file:{output}",
    ]  # fmt: skip


async def _score(context: Context, encoded: Path, pictures: Path, probe: Probe) -> tuple[Score, float]:
    """Return the score of an encode and the processor time that scoring took."""
    width, height = scored_size(probe.facts)
    command = comparison(
        context.tools,
        encoded,
        ["-threads", str(probe.threads), "-i", f"file:{pictures}"],
        [f"scale={width}:{height}:flags=bicubic"],
        msgspec.structs.replace(probe.facts, video_index=0),
        probe.model,
        threads=probe.threads,
        hdr=probe.hdr,
    )
    frames = probe.excerpt.frames
    scored, said = await compare(command, frames)
    return summary(scored, [(0, frames)], Fraction(probe.facts.frame_rate), probe.model), cpu_seconds(said)


def _rate(sizes: Sequence[int], probe: Probe) -> float:
    """Return the rate of a whole GOP from the bytes of its first pictures. Raises ToolFailed when some are missing."""
    excerpt = probe.excerpt
    if len(sizes) != excerpt.frames:
        raise ToolFailed(f"A trial has {len(sizes)} pictures, {excerpt.frames} were to be encoded; probe again.")
    rest = sum(sizes[1:]) * (excerpt.gop_frames - 1) / max(1, excerpt.frames - 1)
    return float(8 * (sizes[0] + rest) * Fraction(probe.facts.frame_rate) / excerpt.gop_frames)


def _own_size(facts: Facts) -> tuple[int, int]:
    return facts.width // 2 * 2, facts.height // 2 * 2


def candidates(probed: Sequence[Probed]) -> tuple[Candidate, ...]:
    """Return the curve of each codec and size over these excerpts together (of a title, or of one shot).

    Raises BadInput when not all of them had the same trials, or there is none.
    """
    if not probed or len({tuple(each.trial for each in excerpt.measured) for excerpt in probed}) != 1:
        raise BadInput("Curves need excerpts that were all probed by the same trials; probe them again.")
    total = sum(each.excerpt.weight for each in probed)
    points: dict[tuple[str, int, int], list[Point]] = defaultdict(list)
    for index, measured in enumerate(probed[0].measured):
        trial = measured.trial
        alike = [(each.excerpt.weight, each.measured[index]) for each in probed]
        rate = sum(weight * each.bits_per_second for weight, each in alike) / total
        vmaf = sum(weight * each.score.mean for weight, each in alike) / total
        points[trial.codec, trial.width, trial.height].append(Point(trial.crf, rate, vmaf))
    return tuple(
        Candidate(codec, width, height, fit(found, codec_named(codec).crfs))
        for (codec, width, height), found in points.items()
    )


def _cost(probe: Probe) -> Cost:
    """Estimate the sum of all trials; at its highest, memory holds one encoder or one scorer."""
    frames, facts = probe.excerpt.frames, probe.facts
    scoring = scoring_cost(facts, frames, probe.threads)
    seconds = decoding_seconds(facts, frames + _BEFORE)
    memory = scoring.memory_bytes
    for trial in probe.trials:
        codec = codec_named(trial.codec)
        pixels = trial.width * trial.height
        each = codec.seconds.get(trial.preset, max(codec.seconds.values()))
        seconds += scoring.cpu_seconds + frames * pixels / 1e6 * each
        memory = max(memory, scoring.memory_bytes + round(codec.pictures_held * pixels * 1.5))
    return Cost(threads=probe.threads, memory_bytes=memory, cpu_seconds=seconds)


PROBE: WorkKind[Probe, Probed] = WorkKind(name="probe", parameters=Probe, result=Probed, run=probe, cost=_cost)
