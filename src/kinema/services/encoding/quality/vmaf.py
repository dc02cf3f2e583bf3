"""How good an encode looks beside its source, by VMAF (Netflix): 0 is unwatchable, 100 cannot be told apart.

    reference  the source through the encoder's own filters, at the source's own size
    distorted  the encode, scaled up to that size by one fixed filter (bicubic), as a player would

Never at a reduced size: what a small picture lacks would be taken away from its rival too, and the hull would lie by up to
ten points. Every third picture is scored, which costs half and moves a mean by less than a tenth. The first one is left
out: VMAF sees no motion in it and marks it down.

The model is a part of every score, because the numbers of two models mean different things: a telephone in the hand forgives
more than a television at three times its height, a large one at half that distance less. So all candidates of one
hull are scored with one model, that of the film's largest rung.

Source: Li et al., "Toward a practical perceptual video quality metric", Netflix, 2016; the models are libvmaf's own.
"""

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import msgspec

from kinema.services.encoding.chunks.pictures import opened, picked
from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.inspection import Facts, picture_filters, timing_filters
from kinema.services.encoding.shots.timeline import Gop
from kinema.services.encoding.tools import ToolFailed, Tools, run

EVERY = 3
_SMALLEST_SIDE = 64  # libvmaf's wavelets need some pixels
_UHD_LINES, _PHONE_LINES = 1200, 400
_SCORE_SECONDS = 24 * 3600.0
_SECONDS = 0.02  # of processor time for a million pixels of the reference, decoding of both included
_PICTURES_HELD = 16
_PROGRAM_BYTES = 80 << 20


class Model(StrEnum):
    """The viewing that a score is for; the value is its name in manifests and reports."""

    PHONE = "vmaf-v0.6.1-phone"
    HD = "vmaf-v0.6.1"
    UHD = "vmaf-4k-v0.6.1"


_OPTIONS = {
    Model.PHONE: r"version=vmaf_v0.6.1\:enable_transform=true",
    Model.HD: "version=vmaf_v0.6.1",
    Model.UHD: "version=vmaf_4k_v0.6.1",
}


class Score(msgspec.Struct, frozen=True):
    """The quality of some pictures: mean, harmonic mean, the worst second's mean, and the mean of each GOP; all 0 to 100."""

    model: Model
    mean: float
    harmonic: float
    worst_second: float
    gops: tuple[float, ...]


class Scoring(msgspec.Struct, frozen=True):
    """Pictures [start, start + frames) of a film to be scored: as encoded in a file of their own (`encoded` among the steps)."""

    encoded: str
    source: str
    facts: Facts
    start: int
    frames: int
    gops: tuple[Gop, ...]
    model: Model
    threads: int = 1
    hdr: bool = False


def model_for(width: int, height: int) -> Model:
    """Return the model for pictures of this size: what is watched on a large television, on any, or on a telephone only."""
    lines = max(min(width, height), max(width, height) * 9 / 16)
    if lines > _UHD_LINES:
        return Model.UHD
    return Model.HD if lines > _PHONE_LINES else Model.PHONE


def scored_size(facts: Facts) -> tuple[int, int]:
    """Return the size at which encodes of a film are scored: its own, even, or a multiple if that is tiny."""
    times = -(-_SMALLEST_SIDE // min(facts.width, facts.height))
    return facts.width * times // 2 * 2, facts.height * times // 2 * 2


def comparison(
    tools: Tools,
    distorted: Path,
    reference: Sequence[str],
    reference_filters: Sequence[str],
    facts: Facts,
    model: Model,
    *,
    threads: int = 1,
    hdr: bool = False,
) -> list[str]:
    """Return the command that scores a file of ours against pictures, both from their first on, and writes a table (see `compare`).

    `reference` opens these, `reference_filters` bring them to `scored_size`.
    """
    rate = Fraction(facts.frame_rate)
    width, height = scored_size(facts)
    pixels = "yuv420p10le" if hdr else "yuv420p"
    counted = f"settb={rate.denominator}/{rate.numerator},setpts=N"  # pictures pair by number, not by rounded times
    graph = (
        f"[0:v:0]scale={width}:{height}:flags=bicubic,format={pixels},{counted}[distorted];"
        f"[1:{facts.video_index}]{','.join([*reference_filters, counted])}[reference];"
        f"[distorted][reference]libvmaf=model='{_OPTIONS[model]}':n_subsample={EVERY}:shortest=1:repeatlast=0"
        f":n_threads={threads if threads > 1 else 0}:log_fmt=csv:log_path=/dev/stdout"
    )
    return [
        tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "info", "-nostats", "-benchmark", "-filter_complex_threads", str(threads),
        "-threads", str(threads), "-i", f"file:{distorted}", *reference,
        "-filter_complex", graph, "-fps_mode", "passthrough", "-f", "null", "-",
    ]  # fmt: skip


async def compare(command: Sequence[str], frames: int) -> tuple[list[tuple[int, float]], str]:
    """Run a comparison of so many pictures and return (number, VMAF) of those scored, and what ffmpeg said.

    Raises ToolFailed when it scored fewer or more.
    """
    scored: list[tuple[int, float]] = []
    columns: list[str] = []

    def take(line: str) -> None:
        fields = line.strip().split(",")
        if fields[0] == "Frame":
            columns[:] = fields
        elif columns and fields[0].isdigit():
            scored.append((int(fields[0]), float(fields[columns.index("vmaf")])))

    said = (await run(command, _SCORE_SECONDS, take, keep_output=False)).stderr
    if len(scored) != -(-frames // EVERY):
        raise ToolFailed(f"VMAF compared {len(scored)} pictures, of {frames} every third should be; encode them again.")
    return scored, said


def summary(
    scored: Sequence[tuple[int, float]], gops: Sequence[tuple[int, int]], rate: Fraction, model: Model
) -> Score:
    """Return the score of pictures from (number, VMAF) of some of them; `gops` are (first picture, pictures), counted alike."""
    kept = [pair for pair in scored if pair[0]] or list(scored)
    values = [vmaf for _, vmaf in kept]
    second = min(len(values), max(1, round(rate / EVERY)))
    sums = [sum(values[first : first + second]) for first in range(len(values) - second + 1)]
    return Score(
        model=model,
        mean=_rounded(sum(values) / len(values)),
        harmonic=_rounded(_harmonic([(value, 1) for value in values])),
        worst_second=_rounded(min(*sums, sum(values) * second / len(values)) / second),
        gops=tuple(_rounded(_within(kept, first, pictures)) for first, pictures in gops),
    )


def joined(parts: Sequence[tuple[int, Score]]) -> Score:
    """Return the score of parts (pictures, score) that follow one another. All must be of one model."""
    total = sum(pictures for pictures, _ in parts)
    return Score(
        model=parts[0][1].model,
        mean=_rounded(sum(pictures * score.mean for pictures, score in parts) / total),
        harmonic=_rounded(_harmonic([(score.harmonic, pictures) for pictures, score in parts])),
        worst_second=min(score.worst_second for _, score in parts),
        gops=tuple(vmaf for _, score in parts for vmaf in score.gops),
    )


def _within(scored: Sequence[tuple[int, float]], first: int, pictures: int) -> float:
    """Return the mean of the pictures scored in a GOP, or the picture nearest to its middle when none was."""
    inside = [vmaf for number, vmaf in scored if first <= number < first + pictures]
    if inside:
        return sum(inside) / len(inside)
    return min(scored, key=lambda pair: abs(2 * (pair[0] - first) - pictures + 1))[1]


def _harmonic(values: Sequence[tuple[float, int]]) -> float:
    """Return the harmonic mean of (value, weight) as libvmaf has it: of values one higher, so that 0 does not rule all."""
    return sum(weight for _, weight in values) / sum(weight / (value + 1) for value, weight in values) - 1


def _rounded(vmaf: float) -> float:
    return round(min(max(vmaf, 0.0), 100.0), 4)


async def score(context: Context, scoring: Scoring) -> Score:
    """Score an encoded chunk. Raises NotFound without its file or its film, ToolFailed when they do not fit together."""
    distorted = await context.fetch("steps", scoring.encoded)
    source = await context.film(scoring.source)
    facts = scoring.facts
    filters = [
        *timing_filters(facts),
        *picked(facts, scoring.start, scoring.frames),
        *picture_filters(facts, *scored_size(facts), hdr=scoring.hdr),
    ]
    command = comparison(
        context.tools,
        distorted,
        opened(source, facts, scoring.start, scoring.threads),
        filters,
        facts,
        scoring.model,
        threads=scoring.threads,
        hdr=scoring.hdr,
    )
    scored, _ = await compare(command, scoring.frames)
    gops = [(gop.start - scoring.start, gop.frames) for gop in scoring.gops]
    return summary(scored, gops, Fraction(facts.frame_rate), scoring.model)


def scoring_cost(facts: Facts, frames: int, threads: int) -> Cost:
    """Return what scoring so many pictures of a film is expected to take."""
    width, height = scored_size(facts)
    return Cost(
        threads=threads,
        memory_bytes=_PROGRAM_BYTES + round(width * height * 1.5 * _PICTURES_HELD * max(1, threads)),
        cpu_seconds=frames * width * height / 1e6 * _SECONDS,
    )


SCORE: WorkKind[Scoring, Score] = WorkKind(
    name="score",
    parameters=Scoring,
    result=Score,
    run=score,
    cost=lambda scoring: scoring_cost(scoring.facts, scoring.frames, scoring.threads),
)
