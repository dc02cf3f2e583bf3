"""The plan of a ladder: excerpts of the film are probed, the hull is drawn, rungs are chosen on it.

A title is probed as a whole: a share of its pictures, at five sizes and three CRFs, which costs less than the final
encode. With `per_shot` every shot is probed and gets a CRF of its own, at equal slope over the film; that saves more bits and
costs some final encodes. The fixed ladder is drawn on the same curves, for comparison: what it would have spent, and got.
"""

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from kinema.core.properties import Property
from kinema.model.encoding_report import RatePoint
from kinema.services.encoding.allocation.lagrange import ShotCurve, allocate_shots, points_under_peak, shot_curve
from kinema.services.encoding.allocation.rungs import PRESETS, PlannedRung, Policy, choose_rungs
from kinema.services.encoding.chunks.rung import Film
from kinema.services.encoding.execution.steps import Steps
from kinema.services.encoding.execution.together import together
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.ladder import rungs_for
from kinema.services.encoding.quality.hull import Candidate, HullPoint, hull, upper
from kinema.services.encoding.quality.plan import Effort, Excerpt, shot_plan, sizes, title_plan, trials
from kinema.services.encoding.quality.probes import PROBE, Probe, Probed, candidates
from kinema.services.encoding.quality.vmaf import Model, model_for

PER_SHOT = Property(
    "encoding.per_shot",
    default=False,
    description="Whether each shot is probed and gets a quality of its own: fewer bits for about twice the processor time.",
)

_SAME_LINES = 0.05  # a probed size whose lines differ by less than this share stands for a rung of the fixed ladder


class LadderPlan(msgspec.Struct, frozen=True):
    """What is to be made of a film and what that rests on. `rungs` are best first; `cpu_seconds` is what probing took."""

    model: Model
    rungs: tuple[PlannedRung, ...]
    probes: tuple[RatePoint, ...]
    hull: tuple[RatePoint, ...]
    fixed: tuple[RatePoint, ...]
    cpu_seconds: float


def probes_of(film: Film, codec: str, *, per_shot: bool) -> tuple[tuple[Probe, ...], ...]:
    """Return the probes of a film, by shot; without `per_shot` all in one group."""
    effort = Effort()
    groups = shot_plan(film.timeline, effort) if per_shot else (title_plan(film.timeline, effort),)
    tried = trials(codec, PRESETS[codec], sizes(film.facts))
    model = model_for(film.facts.width, film.facts.height)

    def probe(excerpt: Excerpt) -> Probe:
        return Probe(film.source, film.facts, excerpt, tried, model)

    return tuple(tuple(probe(excerpt) for excerpt in group) for group in groups)


async def plan_ladder(
    steps: Steps, film: Film, codec: str, *, per_shot: bool, policy: Policy | None = None
) -> LadderPlan:
    """Probe a film and choose its rungs of one codec. Raises what probing raises, Unusable where pictures cannot be decoded."""
    policy = policy or Policy()
    groups = probes_of(film, codec, per_shot=per_shot)
    made = iter(await together(steps.do(PROBE, probe) for group in groups for probe in group))
    probed = [[next(made) for _ in group] for group in groups]
    every = [each for group in probed for each in group]
    whole = candidates(every)
    if per_shot:
        edge, rungs = _by_shots(film, probed, policy)
    else:
        edge = hull(whole)
        rungs = choose_rungs(edge, film.facts, policy)
    return LadderPlan(
        model=model_for(film.facts.width, film.facts.height),
        rungs=rungs,
        probes=_points(every),
        hull=tuple(_point(point) for point in edge),
        fixed=fixed_points(film.facts, whole),
        cpu_seconds=round(sum(each.cpu_seconds for each in every), 2),
    )


def _by_shots(
    film: Film, probed: Sequence[Sequence[Probed]], policy: Policy
) -> tuple[tuple[HullPoint, ...], tuple[PlannedRung, ...]]:
    """Return the hull of what shots at equal slope give, and the rungs on it with a CRF for each shot."""
    curves: dict[tuple[str, int, int], list[ShotCurve]] = {}
    for shot, group in zip(film.timeline.shots, probed, strict=True):
        dip = max(0.0, *(one.score.mean - one.score.worst_second for each in group for one in each.measured))
        for one in candidates(group):
            found = shot_curve(shot.start, shot.frames, one.curve, dip)
            curves.setdefault((one.codec, one.width, one.height), []).append(found)
    edge = upper(
        point
        for (codec, width, height), shots in curves.items()
        for point in points_under_peak(codec, width, height, shots, film.facts, policy)
    )
    rungs = tuple(
        allocate_shots(rung, curves[rung.codec, rung.width, rung.height], film.facts, policy)
        for rung in choose_rungs(edge, film.facts, policy)
    )
    return edge, rungs


def fixed_points(facts: Facts, probed: Sequence[Candidate]) -> tuple[RatePoint, ...]:
    """Return what the fixed ladder would come to, as far as its sizes were probed: its CRF, or its ceiling where that is lower."""
    found: list[RatePoint] = []
    for rung in rungs_for(facts.width, facts.height, Fraction(facts.frame_rate)):
        near = [one for one in probed if abs(one.height / rung.height - 1) < _SAME_LINES and one.codec == "x264"]
        if not near:
            continue
        curve = near[0].curve
        crf = max(float(rung.crf), curve.crf_for_rate(rung.peak_bits_per_second))
        rate, vmaf = curve.rate(crf), curve.vmaf(crf)
        found.append(RatePoint("x264", rung.width, rung.height, round(crf, 2), round(rate), round(vmaf, 2)))
    return tuple(sorted(found, key=lambda point: point.bits_per_second))


def _points(probed: Sequence[Probed]) -> tuple[RatePoint, ...]:
    """Return what was measured, each trial as the mean of all excerpts."""
    total = sum(each.excerpt.weight for each in probed)
    found: list[RatePoint] = []
    for index, measured in enumerate(probed[0].measured):
        alike = [(each.excerpt.weight, each.measured[index]) for each in probed]
        trial = measured.trial
        rate = sum(weight * one.bits_per_second for weight, one in alike) / total
        vmaf = sum(weight * one.score.mean for weight, one in alike) / total
        found.append(RatePoint(trial.codec, trial.width, trial.height, trial.crf, round(rate), round(vmaf, 2)))
    return tuple(found)


def _point(point: HullPoint) -> RatePoint:
    return RatePoint(
        point.codec, point.width, point.height, round(point.crf, 2), round(point.bits_per_second), round(point.vmaf, 2)
    )


def in_order(rungs: Sequence[PlannedRung], first_bits_per_second: float) -> tuple[PlannedRung, ...]:
    """Return the rungs in the order of encoding: the one nearest above what plays already, upwards from there, then the lower ones."""
    rising = sorted(rungs, key=lambda rung: rung.bits_per_second)
    above = [rung for rung in rising if rung.bits_per_second >= first_bits_per_second]
    below = [rung for rung in rising if rung.bits_per_second < first_bits_per_second]
    return (*above, *reversed(below))
